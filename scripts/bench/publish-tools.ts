/** Who can make a list of two images in one registry, as a user would run them. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { accessSync, constants } from 'node:fs';
import { promisify } from 'node:util';
import { archfarmCommand } from '../rig/farm.ts';

export interface Wanted {
  /** With registry and tag. */
  readonly target: string;
  /** linux/amd64 and linux/arm64, in this order. */
  readonly images: readonly [string, string];
}

export interface Tool {
  readonly name: string;
  /** Gives the processor time of its commands in milliseconds, which a busy machine changes less than the time they take. */
  publish(wanted: Wanted): Promise<number>;
}

type Commands = (wanted: Wanted) => readonly (readonly string[])[];

const execute = promisify(execFile);

/** Processor time in milliseconds: what bash says of a child, user and system. */
async function run(command: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const script = 'TIMEFORMAT="%U %S"; time "$@"';
  const { stderr } = await execute('bash', ['-c', script, 'bash', ...command], { env });
  const seconds = (stderr.trim().split('\n').at(-1) ?? '').split(' ').map(Number);
  return seconds.reduce((sum, each) => sum + each, 0) * 1000;
}

/** Those that are installed; what they keep goes into `directory`. */
export function publishTools(directory: string): readonly Tool[] {
  const env = { ...process.env, DOCKER_CONFIG: directory };
  const storage = [
    '--storage-driver',
    'vfs',
    '--root',
    `${directory}/storage`,
    '--runroot',
    `${directory}/run`,
  ];
  const commands: Readonly<Record<string, Commands>> = {
    docker: ({ target, images }) => [
      ['docker', 'manifest', 'create', '--insecure', target, ...images],
      ['docker', 'manifest', 'push', '--insecure', '--purge', target],
    ],
    podman: containers('podman', storage),
    buildah: containers('buildah', storage),
    'manifest-tool': ({ target, images: [first] }) => [
      [
        'manifest-tool',
        '--plain-http',
        'push',
        'from-args',
        '--platforms',
        'linux/amd64,linux/arm64',
        '--target',
        target,
        '--template',
        first.replace('amd64', 'ARCH'),
      ],
    ],
    crane: ({ target, images }) => [
      ['crane', 'index', 'append', '--insecure', ...images.flatMap((image) => ['-m', image]), '-t', target],
    ],
    regctl: ({ target, images }) => [
      ['regctl', 'index', 'create', target, ...images.flatMap((image) => ['--ref', image])],
    ],
  };
  const others = Object.entries(commands)
    .filter(([name]) => isInstalled(name))
    .map(([name, steps]): Tool => {
      return {
        name,
        async publish(wanted) {
          let used = 0;
          for (const command of steps(wanted)) used += await run(command, env);
          return used;
        },
      };
    });
  return [fromSpec(directory, env), ...others];
}

function fromSpec(directory: string, env: NodeJS.ProcessEnv): Tool {
  return {
    name: 'archfarm',
    async publish({ target, images }) {
      const file = join(directory, 'spec.yaml');
      const sources = images.map((image, index) => {
        const architecture = ['amd64', 'arm64'][index];
        return `  - image: ${image}\n    platform:\n      os: linux\n      architecture: ${architecture}\n`;
      });
      await writeFile(file, `image: ${target}\nmanifests:\n${sources.join('')}`);
      return run([process.execPath, archfarmCommand, 'push', 'from-spec', file], env);
    },
  };
}

function containers(command: string, storage: readonly string[]): Commands {
  return ({ target, images }) => {
    const list = 'bench';
    return [
      [command, ...storage, 'manifest', 'create', list],
      ...images.map((image) => [
        command,
        ...storage,
        'manifest',
        'add',
        '--tls-verify=false',
        list,
        `docker://${image}`,
      ]),
      [command, ...storage, 'manifest', 'push', '--all', '--tls-verify=false', list, `docker://${target}`],
      [command, ...storage, ...(command === 'podman' ? ['manifest', 'rm', list] : ['rmi', list])],
    ];
  };
}

function isInstalled(command: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
