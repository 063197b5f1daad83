/** The dashboard as it is served: a page, and files whose names change with what is in them. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { build } from 'esbuild';

/** Into `outdir`, which is made. `define` as esbuild has it. */
export async function buildDashboard({ root, outdir, define }) {
  const source = `${root}/coordinator/dashboard`;
  const { metafile } = await build({
    entryPoints: [`${source}/main.tsx`, `${source}/style/dashboard.css`, `${source}/icon.svg`],
    absWorkingDir: root,
    outdir,
    define: { ...define, 'process.env.NODE_ENV': '"production"' },
    bundle: true,
    minify: true,
    platform: 'browser',
    format: 'esm',
    // The first that know light-dark(): of spring 2024.
    target: ['chrome123', 'firefox120', 'safari17.5'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    entryNames: '[name]-[hash]',
    loader: { '.svg': 'copy' },
    metafile: true,
    legalComments: 'none',
    logLevel: 'warning',
  });
  const made = Object.keys(metafile.outputs).map((path) => basename(path));
  const pathOf = (ending) => `/assets/${made.find((name) => name.endsWith(ending))}`;
  const page = await readFile(`${source}/index.html`, 'utf8');
  await mkdir(outdir, { recursive: true });
  await writeFile(
    `${outdir}/index.html`,
    page
      .replace('%icon%', pathOf('.svg'))
      .replace('%style%', pathOf('.css'))
      .replace('%script%', pathOf('.js')),
  );
}
