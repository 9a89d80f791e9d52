# cell: sm120x8.sglang_fork_003.glm51_nvfp4_lukealonso.chunked_prefill_indexcache
# model: /path/to/lukealonso/GLM-5.1-NVFP4
# image: voipmonitor/sglang:glm51-nsa-luke-a2573ab-b12x0110-20260430
# corrected: args.--trust-remote-code args.--host args.--port args.--enable-metrics
# corrected: env.NVIDIA_VISIBLE_DEVICES env.SGLANG_ENABLE_SPEC_V2 launcher.gpus launcher.ipc
export OMP_NUM_THREADS=16
export SGLANG_ENABLE_SPEC_V2=True
export NVIDIA_VISIBLE_DEVICES=1,2,3,4,5,6,7,8 # 8x Blackwell
python -m sglang.launch_server \
--model-path /path/to/lukealonso/GLM-5.1-NVFP4 \
--served-model-name GLM-5 \
--reasoning-parser glm45 \
--tool-call-parser glm47 \
--tensor-parallel-size 8 \
--quantization modelopt_fp4 \
--disable-piecewise-cuda-graph \
--kv-cache-dtype fp8_e4m3 \
--trust-remote-code \
--enable-pcie-oneshot-allreduce \
--disable-shared-experts-fusion \
--page-size 64 \
--nsa-prefill-backend b12x \
--nsa-decode-backend b12x \
--attention-backend nsa \
--moe-runner-backend b12x \
--fp4-gemm-backend b12x \
--cuda-graph-max-bs 8 \
--chunked-prefill-size 4096 \
--preferred-sampling-params '{"temperature": 1.0, "top_p": 0.95}' \
--json-model-override-args '{"index_topk_pattern": "FFSFSSSFSSFFFSSSFFFSFSSSSSSFFSFFSFFSSFFFFFFSFFFFFSFFSSSSSSFSFFFSFSSSFSFFSFFSSS"}' \
--max-running-requests 8 \
--mem-fraction-static 0.825 \
--host 0.0.0.0 --port 8000
