/** What `--metadata-file` and `--progress rawjson` say of a build. */
import * as v from 'valibot';

const sent = v.object({ sentBytes: v.number() });
const resultSchema = v.object({
  build: v.string(),
  status: v.string(),
  error: v.optional(v.object({ code: v.string(), message: v.string() })),
  'containerimage.digest': v.optional(v.string()),
  context: sent,
  platforms: v.array(
    v.object({
      platform: v.string(),
      agent: v.optional(v.string()),
      native: v.optional(v.boolean()),
      error: v.optional(v.object({ code: v.string(), message: v.string() })),
      attempts: v.array(v.object({ agent: v.string(), outcome: v.optional(v.string()) })),
      context: sent,
    }),
  ),
});

export type ShownResult = v.InferOutput<typeof resultSchema>;

const frameSchema = v.looseObject({
  seq: v.number(),
  type: v.string(),
  platform: v.optional(v.string()),
  /** Of `log`. */
  text: v.optional(v.string()),
  /** Of `publish`. */
  action: v.optional(v.string()),
  reference: v.optional(v.string()),
});

export type ShownFrame = v.InferOutput<typeof frameSchema>;

export function readResult(json: string): ShownResult {
  return v.parse(resultSchema, JSON.parse(json));
}

/** The whole lines so far; what follows the frames is what any command may say at its end. */
export function readFrames(rawjson: string): ShownFrame[] {
  const lines = rawjson.split('\n').slice(0, -1);
  return lines.filter((line) => line.startsWith('{')).map((line) => v.parse(frameSchema, JSON.parse(line)));
}

/** Output of the steps of one platform, or of all. */
export function logOf(frames: readonly ShownFrame[], platform?: string): string {
  return frames
    .filter((frame) => frame.type === 'log' && (platform === undefined || frame.platform === platform))
    .map((frame) => frame.text ?? '')
    .join('\n');
}
