/** A build of one file, submitted to a coordinator inside the test's process. */
import { randomBytes } from 'node:crypto';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { ContextUpload } from '../../coordinator/cli/context-upload.ts';
import type { BuildSpec } from '../../coordinator/project/spec.ts';
import { sampleSpec } from './farm-fixtures.ts';
import { dir, memoryTree } from './memory-tree.ts';
import { testToken, type RunningCoordinator } from './running-coordinator.ts';

/** The context of such builds. */
export const tree = memoryTree(dir(['Dockerfile', 'FROM scratch\n']));
const answerSchema = v.object({ build: v.string() });

/** Its id. The context has 1,000 bytes by what it says of itself. */
export async function submitBuild(
  running: RunningCoordinator,
  change: Partial<BuildSpec> = {},
  secrets: Readonly<Record<string, string>> = {},
): Promise<string> {
  const link = randomBytes(12).toString('base64url');
  const upload = new ContextUpload({
    coordinator: running.url,
    token: testToken,
    trust: running.trust,
    link,
    source: tree,
  });
  try {
    const spec = sampleSpec({
      context: { root: tree.root, name: 'c', files: 1, bytes: 1000 },
      dockerfile: { root: tree.root, name: 'Dockerfile' },
      ...change,
    });
    const answer = await running.ask('/v1/builds', { method: 'POST', body: { spec, secrets, link } });
    assert.is(answer.status, 201, JSON.stringify(answer.body));
    return v.parse(answerSchema, answer.body).build;
  } finally {
    await upload.close();
  }
}
