# cell: sm100x4.vllm_0_16_0.glm5_nvfp4_lukealonso.baseline
# model: lukealonso/GLM-5-NVFP4
# corrected: args.--trust-remote-code args.--host args.--port args.--served-model-name launcher.kind
# corrected: args.--max-num-batched-tokens args.--max-num-seqs args.--enable-chunked-prefill
# corrected: args.--enable-logging-iteration-details
# corrected: args.--tool-call-parser args.--enable-auto-tool-choice args.--reasoning-parser
vllm serve lukealonso/GLM-5-NVFP4 \
  --tensor-parallel-size 4 \
  --max-model-len 32768 \
  --gpu-memory-utilization 0.90 \
  --trust-remote-code
