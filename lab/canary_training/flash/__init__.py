"""The canary in the shape of GLM-5.3-Flash (`Glm5NextForConditionalGeneration`): its own mixers, the same lessons."""
