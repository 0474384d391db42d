package profile

// Event times lie from 2000-01-01T00:00:00.000Z to 9999-12-31T23:59:59.999Z, in ms since 1970.
const (
	minTimeMillis = 946_684_800_000
	maxTimeMillis = 253_402_300_799_999
)

const (
	minuteSeconds = 60
	hourSeconds   = 60 * minuteSeconds
	daySeconds    = 24 * hourSeconds
)

// parseMillis reads a JSON number as ms since 1970. It must be written as an integer.
func parseMillis(text []byte) (int64, bool) {
	if len(text) > len("253402300799999") {
		return 0, false
	}
	t := int64(0)
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		t = t*10 + int64(c-'0')
	}
	return t, t >= minTimeMillis && t <= maxTimeMillis
}

// parseTime reads an RFC 3339 time, floored to ms since 1970: a zone is required, at most nine
// decimals, no leap second, T and Z in either case.
func parseTime(s []byte) (int64, bool) {
	const shortest = len("2006-01-02T15:04:05Z")
	if len(s) < shortest || s[4] != '-' || s[7] != '-' || s[10]|0x20 != 't' || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	century, year := pair(s, 0), pair(s, 2)
	month, day := pair(s, 5), pair(s, 8)
	hour, minute, second := pair(s, 11), pair(s, 14), pair(s, 17)
	if century|year|month|day|hour|minute|second < 0 || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	year += 100 * century
	if month < 1 || month > 12 || day < 1 || day > monthDays(year, month) {
		return 0, false
	}
	t := 1000 * (daysSince1970(year, month, day)*daySeconds +
		int64(hour)*hourSeconds + int64(minute)*minuteSeconds + int64(second))
	s = s[19:]
	if s[0] == '.' {
		end := scanDigits(s, 1)
		if end == 1 || end > 10 || end == len(s) {
			return 0, false
		}
		for i, weight := range [...]int64{100, 10, 1} {
			if i+1 < end {
				t += int64(s[i+1]-'0') * weight
			}
		}
		s = s[end:]
	}
	offset, ok := zone(s)
	t -= 1000 * offset
	return t, ok && t >= minTimeMillis && t <= maxTimeMillis
}

// zone reads Z or an offset such as +01:00, all of s, in seconds.
func zone(s []byte) (int64, bool) {
	if len(s) == 1 {
		return 0, s[0]|0x20 == 'z'
	}
	if len(s) != len("+01:00") || s[0] != '+' && s[0] != '-' || s[3] != ':' {
		return 0, false
	}
	hour, minute := pair(s, 1), pair(s, 4)
	if hour|minute < 0 || hour > 23 || minute > 59 {
		return 0, false
	}
	offset := int64(hour)*hourSeconds + int64(minute)*minuteSeconds
	if s[0] == '-' {
		offset = -offset
	}
	return offset, true
}

// pair reads two digits, negative if they are none.
func pair(s []byte, i int) int {
	a, b := s[i]-'0', s[i+1]-'0'
	if a > 9 || b > 9 {
		return -1
	}
	return int(a)*10 + int(b)
}

func monthDays(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysSince1970 counts days of the proleptic Gregorian calendar, for years from 1 on. Years
// begin in March here, so that a leap day is a year's last.
func daysSince1970(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	const before1970 = 719_468 // days from 1 March of year 0
	y := int64(year)
	return 365*y + y>>2 - y/100 + y/400 + int64((153*(month-3)+2)/5+day-1) - before1970
}
