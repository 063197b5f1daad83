/** Bundles the two commands into dist/. The agent is one file without a native module, so it runs wherever Node does. */
import { chmod, readFile, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(await readFile(`${root}/package.json`, 'utf8'));

const banner = [
  '#!/usr/bin/env node\n',
  // Packages written for CommonJS ask for these.
  `import { createRequire as __createRequire } from 'node:module';`,
  `import { fileURLToPath as __fileURLToPath } from 'node:url';`,
  `const require = __createRequire(import.meta.url);`,
  `const __filename = __fileURLToPath(import.meta.url);`,
  `const __dirname = __fileURLToPath(new URL('.', import.meta.url));`,
].join('');

const common = {
  bundle: true,
  minify: true,
  // Names of error classes are printed.
  keepNames: true,
  platform: 'node',
  target: 'node20',
  format: 'esm',
  define: { ARCHFARM_VERSION: JSON.stringify(version) },
  banner: { js: banner },
  logLevel: 'warning',
};

// dockerode's own session and its ssh transport are not used; they are most of its weight.
const unused = ['ssh2', '@grpc/grpc-js', '@grpc/proto-loader', 'protobufjs'];
const stub = `${root}/scripts/empty.cjs`;

await rm(`${root}/dist`, { recursive: true, force: true });
await Promise.all([
  build({
    ...common,
    entryPoints: { archfarm: `${root}/coordinator/main.ts` },
    outdir: `${root}/dist`,
    // A verb is loaded when it is used.
    splitting: true,
    chunkNames: 'archfarm-[hash]',
    // It finds its native module from its own directory.
    external: ['libsql'],
  }),
  build({
    ...common,
    entryPoints: [`${root}/agent/main.ts`],
    outfile: `${root}/dist/archfarm-agent.js`,
    alias: Object.fromEntries(unused.map((name) => [name, stub])),
  }),
]);
for (const command of ['archfarm', 'archfarm-agent']) await chmod(`${root}/dist/${command}.js`, 0o755);
