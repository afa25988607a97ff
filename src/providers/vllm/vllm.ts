/* vLLM, and servers that follow it. What it does not know it ignores. An error in its streams is followed by [DONE] all the same. */
import { openAIFamily } from '../openai/openai.ts'

export const vllm = openAIFamily({
  name: 'vllm',
  // Both are needed: each is refused where it contradicts the other.
  prefill: { answers: 'continued', call: { continue_final_message: true, add_generation_prompt: false } },
})
