/** Builds of a Dockerfile and nothing else, given to a coordinator as the command gives them. */
import { randomBytes } from 'node:crypto';
import * as v from 'valibot';
import { ContextUpload } from '../../coordinator/cli/context-upload.ts';
import type { BuildSpec } from '../../coordinator/project/spec.ts';
import { sampleSpec } from './farm-fixtures.ts';
import { dir, memoryTree } from './memory-tree.ts';
import { testToken, type RunningCoordinator } from './running-coordinator.ts';

const tree = memoryTree(dir(['Dockerfile', 'FROM scratch\n']));

/** The directories of its context, as they come along with a submission. */
export const directories: readonly string[] = [...tree.records.values()].map((record) =>
  record.toString('base64'),
);

export const buildAnswer = v.object({ build: v.string() });

export const refusalAnswer = v.object({
  error: v.object({ code: v.string(), message: v.string(), hint: v.optional(v.string()) }),
});

export function specOf(change: Partial<BuildSpec> = {}): BuildSpec {
  return sampleSpec({
    context: { root: tree.root, name: 'c', files: 1, bytes: 1 },
    dockerfile: { root: tree.root, name: 'Dockerfile' },
    ...change,
  });
}

/** Gives its id. */
export async function submit(running: RunningCoordinator, idempotencyKey?: string): Promise<string> {
  const link = randomBytes(12).toString('base64url');
  const upload = new ContextUpload({ coordinator: running.url, token: testToken, link, source: tree });
  try {
    const body = { spec: specOf(), link, idempotencyKey };
    return v.parse(buildAnswer, (await running.ask('/v1/builds', { method: 'POST', body })).body).build;
  } finally {
    await upload.close();
  }
}
