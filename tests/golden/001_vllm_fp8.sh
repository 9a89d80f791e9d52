# cell: sm100x8.vllm_0_16_0.glm5_fp8.baseline
# model: zai-org/GLM-5-FP8
# corrected: args.--trust-remote-code args.--host args.--port args.--served-model-name launcher.ports
# corrected: args.--max-num-batched-tokens args.--max-num-seqs args.--enable-chunked-prefill
# corrected: args.--enable-logging-iteration-details
# corrected: args.--tool-call-parser args.--enable-auto-tool-choice args.--reasoning-parser
vllm serve zai-org/GLM-5-FP8 \
  --tensor-parallel-size 8 \
  --max-model-len 32768 \
  --gpu-memory-utilization 0.90 \
  --trust-remote-code
