/**
 * Bundles the two commands and the dashboard into dist/. The agent is one file without a native module, so it runs wherever Node does.
 * Whoever uses dist/ meanwhile has all of the old one or all of the new one.
 */
import { chmod, copyFile, mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { agentPackages } from './build/agent-packages.mjs';
import { writeCodeCache } from './build/code-cache.mjs';
import { buildDashboard } from './build/dashboard.mjs';
import { lateBuiltins } from './build/late-builtins.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(await readFile(`${root}/package.json`, 'utf8'));

const common = {
  bundle: true,
  minify: true,
  // Names of error classes are printed.
  keepNames: true,
  platform: 'node',
  target: 'node20',
  // Node starts it sooner than ECMAScript modules, and a file that was copied elsewhere needs no package.json.
  format: 'cjs',
  define: { ARCHFARM_VERSION: JSON.stringify(version), 'import.meta.dirname': '__dirname' },
  logLevel: 'warning',
};

/** Packages that are large, and loaded by `serve` only. */
const apart = ['@peculiar/x509', 'fastify', 'pino', 'prom-client'];

/** Without the scope of its name. */
const fileOf = (name) => `archfarm-${name.replace(/^@.*\//, '')}`;

/** Has them loaded from files beside the command. */
const packagesApart = {
  name: 'packages-apart',
  setup({ onResolve }) {
    onResolve({ filter: new RegExp(`^(${apart.join('|')})$`) }, ({ kind, path }) =>
      kind === 'entry-point' ? undefined : { path: `./${fileOf(path)}.js`, external: true },
    );
    onResolve({ filter: /^undici$/ }, () => ({ path: `${root}/scripts/build/undici.cjs` }));
    onResolve({ filter: /^node:http2$/ }, ({ importer }) =>
      importer.includes('/undici/') ? { path: `${root}/scripts/build/no-http2.cjs` } : undefined,
    );
  },
};

await mkdir(`${root}/.cache`, { recursive: true });
const work = await mkdtemp(`${root}/.cache/building-`);
const made = `${work}/dist`;
try {
  await Promise.all([
    build({
      ...common,
      entryPoints: [
        { in: `${root}/coordinator/main.ts`, out: 'archfarm-program' },
        { in: `${root}/coordinator/registry-main.ts`, out: 'archfarm-registry' },
        ...apart.map((name) => ({ in: name, out: fileOf(name) })),
      ],
      absWorkingDir: root,
      outdir: made,
      plugins: [packagesApart, lateBuiltins],
      // It finds its native module from its own directory.
      external: ['libsql'],
      // A script that is compiled from a cache has no import().
      supported: { 'dynamic-import': false },
    }),
    build({
      ...common,
      entryPoints: [`${root}/agent/main.ts`],
      outfile: `${made}/archfarm-agent.js`,
      banner: { js: '#!/usr/bin/env node' },
      // They are a twentieth of the file.
      keepNames: false,
      define: { ...common.define, ARCHFARM_UNITS: JSON.stringify(await unitFiles()) },
      plugins: [agentPackages],
    }),
    buildDashboard({
      root,
      outdir: `${made}/dashboard`,
      define: { ARCHFARM_VERSION: common.define.ARCHFARM_VERSION },
    }),
  ]);
  await writeFile(`${made}/package.json`, '{"type":"commonjs"}\n');
  await copyFile(`${root}/scripts/build/launcher.cjs`, `${made}/archfarm.js`);
  for (const command of ['archfarm', 'archfarm-agent']) await chmod(`${made}/${command}.js`, 0o755);
  await writeCodeCache(made);
  await replace(`${root}/dist`);
} finally {
  await rm(work, { recursive: true, force: true });
}

/** By name: the agent's one file installs them. */
async function unitFiles() {
  const directory = `${root}/scripts/systemd`;
  const names = await readdir(directory);
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(`${directory}/${name}`, 'utf8')])),
  );
}

async function replace(dist) {
  for (;;) {
    await rename(dist, `${work}/old`).catch(ignore('ENOENT'));
    if (await rename(made, dist).then(() => true, ignore('ENOTEMPTY'))) return;
    // Another build was faster.
    await rm(`${work}/old`, { recursive: true, force: true });
  }
}

function ignore(code) {
  return (error) => {
    if (error.code !== code) throw error;
  };
}
