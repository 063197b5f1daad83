/** Looks for the project file that a directory belongs to. */
import { stat } from 'node:fs/promises';
import path from 'node:path';

/** In the order in which Compose prefers them. */
const fileNames = ['compose.yaml', 'compose.yml', 'docker-compose.yml', 'docker-compose.yaml'];

/** The project file in `directory` or the nearest one above it. */
export async function findComposeFile(directory: string): Promise<string | undefined> {
  for (const name of fileNames) {
    const candidate = path.join(directory, name);
    if (await isFile(candidate)) return candidate;
  }
  const parent = path.dirname(directory);
  return parent === directory ? undefined : findComposeFile(parent);
}

async function isFile(candidate: string): Promise<boolean> {
  try {
    return (await stat(candidate)).isFile();
  } catch {
    return false;
  }
}
