package simulate

// categoryData is one category: its names and nouns in English and Chinese, and
// the range of its prices in cents.
type categoryData struct {
	code               string
	name               [2]string
	minCents, maxCents int64
	nouns              [][2]string
}

var adjectiveTable = [][2]string{
	{"Classic", "经典"}, {"Organic Cotton", "有机棉"}, {"Handmade", "手工"}, {"Compact", "便携"},
	{"Vintage", "复古"}, {"Nordic", "北欧风"}, {"Premium", "高级"}, {"Lightweight", "轻量"},
	{"Family Size", "家庭装"}, {"Travel", "旅行"}, {"Matte Black", "哑光黑"}, {"Sky Blue", "天蓝色"},
	{"Rechargeable", "可充电"}, {"Waterproof", "防水"},
}

var categoryTable = []categoryData{
	{"KT", [2]string{"Kitchen & Dining", "厨房餐饮"}, 450, 14900, [][2]string{
		{"Cast Iron Skillet", "铸铁煎锅"}, {"Chef's Knife", "主厨刀"}, {"Ceramic Mug", "陶瓷马克杯"}, {"Tea Kettle", "烧水壶"},
		{"Bamboo Cutting Board", "竹砧板"}, {"Rice Cooker", "电饭煲"}, {"Lunch Box", "饭盒"}, {"Coffee Grinder", "咖啡磨豆机"}}},
	{"HD", [2]string{"Home & Decor", "家居装饰"}, 390, 18900, [][2]string{
		{"Table Lamp", "台灯"}, {"Scented Candle", "香薰蜡烛"}, {"Throw Pillow", "抱枕"}, {"Wall Clock", "挂钟"},
		{"Picture Frame", "相框"}, {"Linen Curtain", "亚麻窗帘"}, {"Storage Basket", "收纳篮"}, {"Area Rug", "地毯"}}},
	{"EL", [2]string{"Electronics", "数码电子"}, 990, 69900, [][2]string{
		{"Wireless Earbuds", "无线耳机"}, {"Power Bank", "移动电源"}, {"Mechanical Keyboard", "机械键盘"}, {"Webcam", "摄像头"},
		{"Bluetooth Speaker", "蓝牙音箱"}, {"USB-C Hub", "USB-C扩展坞"}, {"Smart Watch", "智能手表"}, {"E-Reader", "电子书阅读器"}}},
	{"FW", [2]string{"Women's Fashion", "女装"}, 1290, 19900, [][2]string{
		{"Summer Dress", "夏季连衣裙"}, {"Knit Cardigan", "针织开衫"}, {"Silk Scarf", "真丝围巾"}, {"Denim Jacket", "牛仔外套"},
		{"Pleated Skirt", "百褶裙"}, {"Tote Bag", "托特包"}, {"Ankle Boots", "短靴"}, {"Wool Coat", "羊毛大衣"}}},
	{"FM", [2]string{"Men's Fashion", "男装"}, 1290, 19900, [][2]string{
		{"Oxford Shirt", "牛津衬衫"}, {"Chino Trousers", "休闲长裤"}, {"Leather Belt", "皮带"}, {"Hooded Sweatshirt", "连帽卫衣"},
		{"Down Vest", "羽绒马甲"}, {"Running Shorts", "跑步短裤"}, {"Canvas Sneakers", "帆布鞋"}, {"Polo Shirt", "保罗衫"}}},
	{"BE", [2]string{"Beauty & Care", "美妆个护"}, 490, 8900, [][2]string{
		{"Face Serum", "面部精华"}, {"Hand Cream", "护手霜"}, {"Lip Balm", "润唇膏"}, {"Sunscreen SPF 50", "防晒霜"},
		{"Shampoo Bar", "洗发皂"}, {"Clay Mask", "泥面膜"}, {"Electric Toothbrush", "电动牙刷"}, {"Perfume", "香水"}}},
	{"SP", [2]string{"Sports & Outdoors", "运动户外"}, 890, 29900, [][2]string{
		{"Yoga Mat", "瑜伽垫"}, {"Hiking Backpack", "登山背包"}, {"Camping Tent", "露营帐篷"}, {"Water Bottle", "运动水壶"},
		{"Resistance Bands", "弹力带"}, {"Cycling Helmet", "骑行头盔"}, {"Trail Shoes", "越野跑鞋"}, {"Jump Rope", "跳绳"}}},
	{"TY", [2]string{"Toys & Games", "玩具游戏"}, 490, 9900, [][2]string{
		{"Building Blocks", "积木"}, {"Jigsaw Puzzle", "拼图"}, {"Board Game", "桌游"}, {"Plush Bear", "毛绒小熊"},
		{"Toy Train Set", "玩具火车"}, {"Remote Control Car", "遥控车"}, {"Wooden Abacus", "木算盘"}, {"Card Game", "卡牌游戏"}}},
	{"BK", [2]string{"Books & Stationery", "图书文具"}, 290, 5900, [][2]string{
		{"Dotted Notebook", "点阵笔记本"}, {"Fountain Pen", "钢笔"}, {"Cookbook", "食谱"}, {"Picture Book", "绘本"},
		{"Mystery Novel", "悬疑小说"}, {"Desk Organizer", "桌面收纳盒"}, {"Watercolor Set", "水彩套装"}, {"Wall Calendar", "挂历"}}},
	{"BB", [2]string{"Baby & Kids", "母婴儿童"}, 590, 24900, [][2]string{
		{"Baby Blanket", "婴儿毯"}, {"Stroller Organizer", "婴儿车挂包"}, {"Silicone Bib", "硅胶围兜"}, {"Kids Raincoat", "儿童雨衣"},
		{"Feeding Bottle", "奶瓶"}, {"Night Light", "小夜灯"}, {"High Chair", "儿童餐椅"}, {"Teether", "牙胶"}}},
	{"PT", [2]string{"Pet Supplies", "宠物用品"}, 390, 12900, [][2]string{
		{"Dog Leash", "狗牵引绳"}, {"Cat Tree", "猫爬架"}, {"Pet Bed", "宠物窝"}, {"Cat Litter", "猫砂"},
		{"Dog Biscuits", "狗饼干"}, {"Pet Carrier", "宠物航空箱"}, {"Feeding Bowl", "宠物食盆"}, {"Feather Teaser", "逗猫棒"}}},
	{"GD", [2]string{"Garden & Tools", "园艺工具"}, 490, 22900, [][2]string{
		{"Pruning Shears", "修枝剪"}, {"Watering Can", "洒水壶"}, {"Herb Seeds", "香草种子"}, {"Cordless Drill", "无线电钻"},
		{"Plant Pot", "花盆"}, {"Garden Gloves", "园艺手套"}, {"Solar Lights", "太阳能灯"}, {"Tool Box", "工具箱"}}},
	{"GR", [2]string{"Gourmet & Tea", "美食茶饮"}, 350, 6900, [][2]string{
		{"Green Tea", "绿茶"}, {"Dark Chocolate", "黑巧克力"}, {"Olive Oil", "橄榄油"}, {"Ground Coffee", "咖啡粉"},
		{"Chili Sauce", "辣椒酱"}, {"Mixed Nuts", "混合坚果"}, {"Wildflower Honey", "野花蜂蜜"}, {"Instant Noodles", "方便面"}}},
}

var campaignTable = []string{
	"spring_sale", "new_arrivals", "weekend_deals", "free_shipping", "win_back", "brand_story", "双十一预热", "clearance", "loyalty_bonus",
}

var channelTable = []string{"email", "social", "search_ads", "display", "affiliate", "push"}
