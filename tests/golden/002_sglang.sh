# cell: sm120x8.sglang_0_5_10_post1.glm5_nvfp4_lukealonso.baseline
# note: the card states no SGLang version; 0.5.10.post1 accepts every flag of it
# model: lukealonso/GLM-5-NVFP4
# corrected: args.--trust-remote-code args.--host args.--port args.--enable-metrics args.--context-length
# corrected: args.--model args.--model-path args.--tp args.--tensor-parallel-size args.--chunked-prefill-size
# corrected: args.--disable-shared-experts-fusion env.NCCL_P2P_LEVEL env.SGLANG_ENABLE_JIT_DEEPGEMM
# corrected: patches.sglang_nsa_exclusion_v2 launcher.kind launcher.python
# corrected: args.--fp4-gemm-backend args.--kv-cache-dtype args.--model-loader-extra-config
# corrected: args.--pre-warm-nccl args.--watchdog-timeout env.GLOO_SOCKET_IFNAME env.NCCL_BUFFSIZE
# corrected: env.NCCL_CUMEM_HOST_ENABLE env.NCCL_P2P_DISABLE env.NCCL_SHM_DISABLE env.NCCL_SOCKET_IFNAME
export NCCL_IB_DISABLE=1
export NCCL_P2P_LEVEL=PHB
export NCCL_ALLOC_P2P_NET_LL_BUFFERS=1
export NCCL_MIN_NCHANNELS=8
export OMP_NUM_THREADS=8
export SAFETENSORS_FAST_GPU=1
python3 -m sglang.launch_server \
  --model lukealonso/GLM-5-NVFP4 \
  --served-model-name glm-5 \
  --reasoning-parser glm45 \
  --tool-call-parser glm47 \
  --trust-remote-code \
  --tp 8 \
  --mem-fraction-static 0.95 \
  --max-running-requests 8 \
  --kv-cache-dtype fp8_e4m3 \
  --quantization modelopt_fp4 \
  --attention-backend flashinfer \
  --moe-runner-backend flashinfer_cutlass \
  --disable-custom-all-reduce \
  --enable-flashinfer-allreduce-fusion \
  --host 0.0.0.0 \
  --port 8000
