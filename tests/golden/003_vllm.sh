# cell: sm120x8.vllm_fork_003.glm51_nvfp4_mtp_lukealonso.chunked_prefill_indexcache_mtp
# model: lukealonso/GLM-5.1-NVFP4-MTP
# transport: SPEC_CONFIG HF_OVERRIDES
# corrected: args.--trust-remote-code args.--host args.--port args.--speculative-config
# corrected: args.--enable-logging-iteration-details
# corrected: env.CUDA_VISIBLE_DEVICES env.NCCL_P2P_LEVEL env.NCCL_GRAPH_FILE
# corrected: launcher.detach launcher.network launcher.privileged launcher.name launcher.entrypoint
# corrected: launcher.shell launcher.command launcher.volumes
SPEC_CONFIG='{"model":"lukealonso/GLM-5.1-NVFP4-MTP","method":"mtp","num_speculative_tokens":3,"rejection_sample_method":"probabilistic","moe_backend":"flashinfer_cutlass","use_local_argmax_reduction":true}'
HF_OVERRIDES='{"index_topk_pattern":"FFSFSSSFSSFFFSSSFFFSFSSSSSSFFSFFSFFSSFFFFFFSFFFFFSFFSSSSSSFSFFFSFSSSFSFFSFFSSSF"}'
docker run -d --gpus all --ipc=host --network host --privileged \
--name vllm-glm51-ficutlass \
--entrypoint /bin/bash \
-e CUDA_DEVICE_ORDER=PCI_BUS_ID \
-e CUDA_VISIBLE_DEVICES=0,1,2,3,4,5,6,7 \
-e OMP_NUM_THREADS=16 \
-e CUTE_DSL_ARCH=sm_120a \
-e CUDA_DEVICE_MAX_CONNECTIONS=32 \
-e NCCL_P2P_LEVEL=SYS \
-e NCCL_GRAPH_FILE=/opt/vllm/nccl_graph_opt.xml \
-e VLLM_ENABLE_PCIE_ALLREDUCE=1 \
-e VLLM_USE_B12X_SPARSE_INDEXER=1 \
-e VLLM_DISABLE_SHARED_EXPERTS_STREAM=1 \
-e VLLM_DISABLED_KERNELS=MarlinFP8ScaledMMLinearKernel \
-e VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS=0 \
-e VLLM_LOG_STATS_INTERVAL=1 \
-e VLLM_MTP_RETURN_NORMALIZED_HIDDEN=1 \
-e VLLM_B12X_MLA_SPEC_SERIAL_DECODE=0 \
-e XDG_CACHE_HOME=/cache/jit \
-e CUDA_CACHE_PATH=/cache/jit \
-e VLLM_CACHE_DIR=/cache/jit/vllm \
-e TVM_FFI_CACHE_DIR=/cache/jit/tvm-ffi \
-e FLASHINFER_WORKSPACE_BASE=/cache/jit/flashinfer \
-e VLLM_CACHE_ROOT=/root/.cache/vllm \
-e TRITON_CACHE_DIR=/root/.cache/triton \
-e TORCHINDUCTOR_CACHE_DIR=/root/.cache/torchinductor \
-e TORCH_EXTENSIONS_DIR=/cache/jit/torch_extensions \
-e CUTE_DSL_CACHE_DIR=/root/.cache/cutlass_dsl \
-e SPEC_CONFIG="$SPEC_CONFIG" \
-e HF_OVERRIDES="$HF_OVERRIDES" \
-v ~/.cache/huggingface:/root/.cache/huggingface \
-v /mnt/nccl_graph_opt.xml:/opt/vllm/nccl_graph_opt.xml:ro \
-v ~/.cache/vllm-glm51/cutlass_dsl:/root/.cache/cutlass_dsl \
-v ~/.cache/vllm-glm51/jit:/cache/jit \
-v ~/.cache/vllm-glm51/vllm:/root/.cache/vllm \
-v ~/.cache/vllm-glm51/triton:/root/.cache/triton \
-v ~/.cache/vllm-glm51/torchinductor:/root/.cache/torchinductor \
voipmonitor/vllm:glm51-mtp-b12xsparse-ficutlass-topkfix-b12x0111-cg256-20260504 \
-lc 'exec /opt/venv/bin/vllm serve lukealonso/GLM-5.1-NVFP4-MTP \
--served-model-name GLM-5 \
--trust-remote-code \
--host 0.0.0.0 \
--port 5288 \
--tensor-parallel-size 8 \
--pipeline-parallel-size 1 \
--enable-chunked-prefill \
--enable-prefix-caching \
--load-format fastsafetensors \
--async-scheduling \
--gpu-memory-utilization 0.865 \
--max-num-batched-tokens 8192 \
--max-num-seqs 64 \
--mm-processor-cache-gb 0 \
--mm-encoder-tp-mode weights \
--attention-backend B12X_MLA_SPARSE \
--moe-backend flashinfer_cutlass \
--kv-cache-dtype fp8 \
--tool-call-parser glm47 \
--enable-auto-tool-choice \
--reasoning-parser glm45 \
--speculative-config "$SPEC_CONFIG" \
--hf-overrides "$HF_OVERRIDES" \
--max-cudagraph-capture-size 256'
