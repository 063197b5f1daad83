/**
 * The repository's TypeScript as JavaScript, made once for all test files. A process under tsx starts half a second of
 * processor time later, and runs slower: tsx has every function keep its name.
 */
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { transform } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Fills the directory; returns the arguments with which Node runs a file of the repository from it. */
export async function compileTests(directory: string): Promise<readonly string[]> {
  for (const part of ['agent', 'coordinator', 'shared', 'scripts', 'test']) {
    const files = (await readdir(join(root, part), { recursive: true })).filter((file) =>
      file.endsWith('.ts'),
    );
    await Promise.all(files.map((file) => compile(join(root, part, file), directory)));
  }
  const hooks = join(directory, 'hooks.mjs');
  await copyFile(new URL('compiled-tests-hooks.mjs', import.meta.url), hooks);
  const start = join(directory, 'start.mjs');
  const data = JSON.stringify({ directory, root });
  await writeFile(
    start,
    `import { register } from 'node:module';\nregister(${JSON.stringify(pathToFileURL(hooks))}, { data: ${data} });\n`,
  );
  return ['--enable-source-maps', '--import', start];
}

async function compile(path: string, directory: string): Promise<void> {
  const { code } = await transform(await readFile(path, 'utf8'), {
    loader: 'ts',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcefile: path,
    sourcemap: 'inline',
    sourcesContent: false,
  });
  const made = `${join(directory, relative(root, path))}.mjs`;
  await mkdir(dirname(made), { recursive: true });
  await writeFile(made, code);
}
