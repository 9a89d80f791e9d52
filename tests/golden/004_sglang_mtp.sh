# cell: sm120x4.sglang_0_5_10_post1.glm51_478b_nvfp4.mtp
# model: /path/to/GLM-5.1-478B-A42B-REAP-NVFP4
# patch: sglang_nsa_exclusion_v1
# corrected: args.--trust-remote-code args.--host args.--port args.--enable-metrics
# corrected: env.SGLANG_ENABLE_DEEP_GEMM env.SGLANG_DISABLE_DEEP_GEMM env.CUDA_VISIBLE_DEVICES env.NCCL_P2P_LEVEL
# corrected: patches.sglang_nsa_exclusion_v1 patches.sglang_nsa_exclusion_v2
python3.12 -m venv venv
pip install "sglang[all]==0.5.10.post1" flashinfer-python==0.6.7.post3 flashinfer-cubin==0.6.7.post3
MODEL=/path/to/GLM-5.1-478B-A42B-REAP-NVFP4
VENV=/path/to/sglang-venv
export CUDA_DEVICE_ORDER=PCI_BUS_ID
export CUDA_VISIBLE_DEVICES=0,1,2,3 # four Blackwell GPUs
export SGLANG_ENABLE_JIT_DEEPGEMM=0
export SGLANG_ENABLE_DEEP_GEMM=0
export SGLANG_DISABLE_DEEP_GEMM=1
export SGLANG_SET_CPU_AFFINITY=1
export SGLANG_ENABLE_SPEC_V2=True
export FLASHINFER_DISABLE_VERSION_CHECK=1
export NCCL_IB_DISABLE=1
export NCCL_P2P_DISABLE=0
export NCCL_P2P_LEVEL=PIX
export NCCL_SHM_DISABLE=0
export NCCL_BUFFSIZE=4194304
export NCCL_MIN_NCHANNELS=8
export NCCL_SOCKET_IFNAME=lo
export GLOO_SOCKET_IFNAME=lo
export NCCL_CUMEM_HOST_ENABLE=0
export TORCH_NCCL_BLOCKING_WAIT=1
export TORCH_NCCL_ASYNC_ERROR_HANDLING=1
export OMP_NUM_THREADS=8
export SAFETENSORS_FAST_GPU=1
export NVIDIA_TF32_OVERRIDE=1
exec "$VENV/bin/python" -m sglang.launch_server \
--model-path "$MODEL" \
--served-model-name GLM-5.1-478B-A42B-REAP-NVFP4 \
--host 0.0.0.0 --port 8000 \
--trust-remote-code \
--tensor-parallel-size 4 \
--pipeline-parallel-size 1 \
--context-length 65536 \
--max-running-requests 1 \
--mem-fraction-static 0.88 \
--chunked-prefill-size 4096 \
--page-size 64 \
--quantization modelopt_fp4 \
--kv-cache-dtype auto \
--triton-attention-num-kv-splits 64 \
--moe-runner-backend cutlass \
--fp4-gemm-backend flashinfer_cudnn \
--cuda-graph-max-bs 4 \
--pre-warm-nccl \
--tool-call-parser glm47 \
--reasoning-parser glm45 \
--chat-template "$MODEL/chat_template.jinja" \
--model-loader-extra-config '{"enable_multithread_load": true, "num_threads": 16}' \
--watchdog-timeout 1800 \
--speculative-algorithm NEXTN \
--speculative-num-steps 3 \
--speculative-eagle-topk 1 \
--speculative-num-draft-tokens 4 \
--speculative-attention-mode decode \
--speculative-moe-runner-backend cutlass
