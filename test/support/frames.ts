/** A recorded build of two platforms, for everything that shows builds. */
import type { BuildEvent, BuildResult, Frame } from '../../shared/progress.ts';

export const exampleResult: BuildResult = {
  build: 'b1',
  name: 'py-app',
  status: 'failed',
  created: 1_700_000_000_000,
  error: { code: 'build-failed', message: 'linux/arm64/v8 failed' },
  'image.name': 'reg.example/onap/py-app:latest',
  tags: ['reg.example/onap/py-app:latest'],
  context: { digest: `sha256:${'c'.repeat(64)}`, files: 3, bytes: 100, sentBytes: 100 },
  platforms: [
    {
      platform: 'linux/amd64',
      status: 'pushed',
      optional: false,
      reference: 'reg.example/onap/py-app-amd64:latest',
      digest: `sha256:${'a'.repeat(64)}`,
      size: 500,
      config: `sha256:${'d'.repeat(64)}`,
      agent: 'a',
      native: true,
      attempts: [{ agent: 'a', outcome: 'pushed' }],
      timings: { queued: 90_000, context: 500, build: 61_000, push: 500 },
      context: { sentBytes: 100 },
    },
    {
      platform: 'linux/arm64/v8',
      status: 'failed',
      optional: false,
      reference: 'reg.example/onap/py-app-arm64v8:latest',
      agent: 'pi-01',
      native: false,
      error: { code: 'build-failed', message: 'make: exit code 2', hint: 'see the log' },
      attempts: [{ agent: 'pi-01', outcome: 'failed' }],
      timings: { build: 1500 },
      context: { sentBytes: 0 },
    },
  ],
  timings: { total: 65_000 },
};

type Recorded = BuildEvent & { platform?: string; agent?: string };

const amd64 = { platform: 'linux/amd64', agent: 'a' };
const arm64 = { platform: 'linux/arm64/v8', agent: 'pi-01' };

const recorded: readonly Recorded[] = [
  { type: 'state', time: 0, state: 'queued' },
  { type: 'state', time: 1, state: 'queued', platform: 'linux/amd64', reason: 'waiting for an agent' },
  { type: 'state', time: 10, state: 'running', attempt: 1, native: true, ...amd64 },
  { type: 'state', time: 11, state: 'running', attempt: 2, native: false, ...arm64 },
  { type: 'step', time: 20, step: 's0', name: '[internal] load build context', status: 'started', ...amd64 },
  { type: 'context', time: 21, engineBytes: 100, sentBytes: 100, ...amd64 },
  { type: 'step', time: 120, step: 's0', name: '[internal] load build context', status: 'done', duration: 100, ...amd64 },
  { type: 'step', time: 130, step: 's1', name: '[1/2] FROM base', status: 'cached', ...amd64 },
  { type: 'step', time: 1000, step: 's2', name: '[2/2] RUN make', status: 'started', ...arm64 },
  { type: 'log', time: 1512, step: 's2', stream: 'stdout', text: 'one\n\u001B[31mred\u001B[2J two', ...arm64 },
  { type: 'log', time: 1600, step: 's2', stream: 'stderr', text: '10%\r20%\r30%', ...arm64 },
  { type: 'warning', time: 1700, message: 'base image is old', ...arm64 },
  { type: 'step', time: 2500, step: 's2', name: '[2/2] RUN make', status: 'failed', duration: 1500, error: 'exit code: 2', ...arm64 },
  { type: 'push', time: 2600, layer: '5f70bf18a086', status: 'Preparing', ...amd64 },
  { type: 'push', time: 2610, layer: '5f70bf18a086', status: 'Pushing', current: 500_000, total: 2_000_000, ...amd64 },
  { type: 'push', time: 2620, layer: '5f70bf18a086', status: 'Pushing', current: 2_000_000, total: 2_000_000, ...amd64 },
  { type: 'push', time: 2630, layer: '5f70bf18a086', status: 'Pushed', ...amd64 },
  { type: 'state', time: 2700, state: 'pushed', ...amd64 },
  { type: 'state', time: 2710, state: 'failed', error: { code: 'build-failed', message: 'make: exit code 2' }, ...arm64 },
  { type: 'publish', time: 2720, action: 'tag', reference: 'reg.example/onap/py-app:latest', digest: 'sha256:abc' },
  { type: 'state', time: 2730, state: 'failed', reason: 'a platform failed' },
  { type: 'result', time: 2740, result: exampleResult },
]; // prettier-ignore

export const exampleFrames: readonly Frame[] = recorded.map((event, index) => ({
  ...event,
  seq: index + 1,
  build: 'b1',
}));
