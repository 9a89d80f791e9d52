# cell: sm100x8.trtllm_1_3_0rc3.glm5_nvfp4_warnold.chunked_prefill
# model: /workspace/scratch/GLM-5-nvfp4-v1
# serve-config: /tmp/glm5_config.yaml
# corrected: args.--host args.--port args.--trust_remote_code
# corrected: serve_config.moe_config.backend serve_config.kv_cache_config.enable_block_reuse
# corrected: launcher.interactive launcher.command launcher.volumes
# corrected: launcher.slurm.nodes launcher.slurm.gres launcher.slurm.time
salloc -N 1 --gres=gpu:8 --time=04:00:00
docker run --gpus all --ipc=host \
    --ulimit memlock=-1 --ulimit stack=67108864 \
    -v /path/to/your/models:/workspace/scratch \
    -it nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc3 bash
trtllm-serve serve \
    /workspace/scratch/GLM-5-nvfp4-v1 \
    --tp_size 8 \
    --max_batch_size 64 \
    --max_num_tokens 8192 \
    --trust_remote_code \
    --host 0.0.0.0 \
    --extra_llm_api_options /tmp/glm5_config.yaml
