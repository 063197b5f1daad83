/**
 * `npm run package`: into packages/ the agent's one file, Debian packages of agent and coordinator, and the context of the
 * coordinator's image. Uses what dpkg brings, and no network.
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as v from 'valibot';
import { agentPackage, coordinatorPackage } from './package/contents.ts';
import { makeDeb } from './package/deb.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const target = process.argv[2] ?? `${root}/packages`;

const text = await readFile(`${root}/package.json`, 'utf8');
const { version } = v.parse(v.object({ version: v.string() }), JSON.parse(text));
await run(process.execPath, [`${root}/scripts/build.mjs`]);
await mkdir(`${root}/.cache`, { recursive: true });
const work = await mkdtemp(`${root}/.cache/packaging-`);
try {
  const made = `${work}/packages`;
  await mkdir(made);
  await cp(`${root}/dist/archfarm-agent.js`, `${made}/archfarm-agent.js`);
  const names: string[] = [];
  for (const describe of [agentPackage, coordinatorPackage]) {
    names.push(await makeDeb(await describe(root), { version, work, out: made }));
  }
  await cp(`${root}/scripts/image`, `${made}/image`, { recursive: true });
  await cp(`${root}/dist`, `${made}/image/dist`, { recursive: true });
  await rm(target, { recursive: true, force: true });
  await cp(made, target, { recursive: true });
  for (const name of ['archfarm-agent.js', ...names, 'image'])
    process.stdout.write(`${join(target, name)}\n`);
} finally {
  await rm(work, { recursive: true, force: true });
}
