/** Runs what the recipes of scripts/ci have CI systems run, with the shell and the variables that each of them gives. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { parse } from 'yaml';
import { archfarmCommand } from '../../scripts/rig/farm.ts';
import { until } from './until.ts';

/** What the owner of a project sets at the CI system. */
export interface ProjectSettings {
  readonly coordinator: string;
  /** PEM, and the file that holds it. */
  readonly ca: { readonly text: string; readonly file: string };
  readonly token: string;
  readonly image: string;
  readonly test: string;
  readonly commit: string;
}

export interface RecipeRun {
  readonly status: number | null;
  /** Both streams of all steps, as they came. */
  readonly log: string;
  /** What other jobs get. */
  readonly outputs: string;
  /** The page of the job. */
  readonly summary: string;
  readonly metadata: string;
  /** Arguments of every archfarm that was started. */
  readonly args: string;
}

/** With what is to be done to the shell once the log is so far. */
export type Recipe = (workplace: Workplace, interrupt?: Interrupt) => Promise<RecipeRun>;

export interface Interrupt {
  readonly at: string;
  readonly signal: NodeJS.Signals;
}

/** A checkout, and a directory for all else. */
export interface Workplace {
  readonly checkout: string;
  readonly scratch: string;
  readonly settings: ProjectSettings;
  /** More of them for archfarm. */
  readonly flags?: readonly string[];
}

const recipeDirectory = fileURLToPath(new URL('../../scripts/ci', import.meta.url));

const githubSchema = v.object({
  jobs: v.object({
    image: v.object({
      env: v.record(v.string(), v.string()),
      steps: v.array(
        v.object({
          run: v.optional(v.string()),
          if: v.optional(v.literal('always()')),
          env: v.optional(v.record(v.string(), v.string()), {}),
          with: v.optional(v.record(v.string(), v.string()), {}),
        }),
      ),
    }),
  }),
});

/** Steps run as `bash -e FILE` one after the other, after one that fails those alone that always do. */
export const github: Recipe = async ({ checkout, scratch, settings, flags }, interrupt) => {
  const { jobs } = v.parse(githubSchema, parse(await readFile(`${recipeDirectory}/github.yml`, 'utf8')));
  const shell = await Shell.in(checkout, scratch, flags);
  const values: Readonly<Record<string, string>> = {
    'vars.ARCHFARM_COORDINATOR': settings.coordinator,
    'vars.ARCHFARM_CA': settings.ca.text,
    'vars.IMAGE': settings.image,
    'vars.TEST': settings.test,
    'secrets.ARCHFARM_TOKEN': settings.token,
    'runner.temp': scratch,
  };
  const evaluated = (texts: Readonly<Record<string, string>>): Record<string, string> =>
    Object.fromEntries(
      Object.entries(texts).map(([name, text]) => [
        name,
        text.replace(/\$\{\{ (\S+) \}\}/g, (_, expression: string) => {
          const value = values[expression];
          if (value === undefined) throw new Error(`nothing is ${expression}`);
          return value;
        }),
      ]),
    );
  const files = Object.fromEntries(
    ['GITHUB_ENV', 'GITHUB_OUTPUT', 'GITHUB_STEP_SUMMARY'].map((name) => [name, `${scratch}/${name}`]),
  );
  for (const file of Object.values(files)) await writeFile(file, '');
  let status: number | null = 0;
  let artifact = '';
  for (const step of jobs.image.steps) {
    artifact = evaluated(step.with)['path'] ?? artifact;
    if (step.run === undefined || (status !== 0 && step.if === undefined)) continue;
    const kept = (await readFile(`${scratch}/GITHUB_ENV`, 'utf8')).matchAll(/^([^=\n]+)=(.*)$/gm);
    const env = {
      CI: 'true',
      GITHUB_ACTIONS: 'true',
      GITHUB_SHA: settings.commit,
      GITHUB_WORKSPACE: checkout,
      RUNNER_TEMP: scratch,
      ...files,
      ...Object.fromEntries([...kept].map(([, name = '', value = '']) => [name, value])),
      ...evaluated(jobs.image.env),
      ...evaluated(step.env),
    };
    const ended = await shell.run(['bash', '-e'], step.run, { env, interrupt });
    if (status === 0) status = ended;
  }
  return shell.ended(status, {
    outputs: await readFile(`${scratch}/GITHUB_OUTPUT`, 'utf8'),
    summary: await readFile(`${scratch}/GITHUB_STEP_SUMMARY`, 'utf8'),
    metadata: artifact,
  });
};

const gitlabSchema = v.object({
  image: v.object({
    script: v.array(v.string()),
    artifacts: v.object({
      paths: v.tuple([v.string()]),
      reports: v.object({ dotenv: v.string() }),
    }),
  }),
});

/** All lines of a script are one, which the runner begins with these options. */
export const gitlab: Recipe = async ({ checkout, scratch, settings, flags }, interrupt) => {
  const { image } = v.parse(gitlabSchema, parse(await readFile(`${recipeDirectory}/gitlab.yml`, 'utf8')));
  const shell = await Shell.in(checkout, scratch, flags);
  const { script, artifacts } = image;
  const env = {
    ...sharedVariables(settings),
    CI: 'true',
    GITLAB_CI: 'true',
    CI_COMMIT_SHA: settings.commit,
  };
  const text = ['set -eo pipefail', ...script].join('\n');
  const status = await shell.run(['bash'], text, { env, interrupt });
  return shell.ended(status, {
    outputs: await readFile(`${checkout}/${artifacts.reports.dotenv}`, 'utf8').catch(() => ''),
    summary: '',
    metadata: `${checkout}/${artifacts.paths[0]}`,
  });
};

/** Text in three single quotes, less what Groovy takes out of it, run as `sh -xe FILE`. */
export const jenkins: Recipe = async ({ checkout, scratch, settings, flags }, interrupt) => {
  const text = await readFile(`${recipeDirectory}/Jenkinsfile`, 'utf8');
  const [, script = ''] = /\bsh '''(.*?)'''/s.exec(text) ?? [];
  const [, artifact = ''] = /archiveArtifacts artifacts: '([^']+)'/.exec(text) ?? [];
  const [, block = ''] = /environment \{(.*?)\n {2}\}/s.exec(text) ?? [];
  const declared = [...block.matchAll(/^ *(\w+) = /gm)].map(([, name = '']) => name);
  const values: Readonly<Record<string, string>> = sharedVariables(settings);
  const shell = await Shell.in(checkout, scratch, flags);
  const env = {
    ...Object.fromEntries(declared.map((name) => [name, values[name] ?? ''])),
    JENKINS_URL: 'https://jenkins.lab/',
    GIT_COMMIT: settings.commit,
  };
  const status = await shell.run(['sh', '-xe'], script.replaceAll('\\\n', ''), { env, interrupt });
  return shell.ended(status, { outputs: '', summary: '', metadata: `${checkout}/${artifact}` });
};

function sharedVariables({ coordinator, ca, token, image, test }: ProjectSettings): Record<string, string> {
  return {
    ARCHFARM_COORDINATOR: coordinator,
    ARCHFARM_CA: ca.file,
    ARCHFARM_TOKEN: token,
    IMAGE: image,
    TEST: test,
  };
}

interface Ending {
  readonly outputs: string;
  readonly summary: string;
  /** Its file. */
  readonly metadata: string;
}

/** Scripts in a checkout that find an `archfarm` which notes its arguments, and may emulate: the test's farm does. */
class Shell {
  readonly #checkout: string;
  readonly #scratch: string;

  private constructor(checkout: string, scratch: string) {
    this.#checkout = checkout;
    this.#scratch = scratch;
  }

  static async in(checkout: string, scratch: string, flags: readonly string[] = []): Promise<Shell> {
    await mkdir(`${scratch}/bin`, { recursive: true });
    for (const file of ['args', 'log']) await writeFile(`${scratch}/${file}`, '');
    const lines = [
      '#!/bin/sh',
      `printf '%s\\n' "$@" >>'${scratch}/args'`,
      'verb=$1',
      'shift',
      `exec '${process.execPath}' '${archfarmCommand}' "$verb" --allow-emulation ${flags.join(' ')} "$@"`,
    ];
    await writeFile(`${scratch}/bin/archfarm`, `${lines.join('\n')}\n`);
    await chmod(`${scratch}/bin/archfarm`, 0o755);
    return new Shell(checkout, scratch);
  }

  async run(
    shell: readonly string[],
    script: string,
    { env, interrupt }: { readonly env: NodeJS.ProcessEnv; readonly interrupt: Interrupt | undefined },
  ): Promise<number | null> {
    const file = `${this.#scratch}/script`;
    await writeFile(file, script);
    await using log = await open(`${this.#scratch}/log`, 'a');
    const inherited = { PATH: `${this.#scratch}/bin:${process.env['PATH']}`, HOME: this.#scratch };
    // The kernel ends it should this process be killed.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...shell, file], {
      cwd: this.#checkout,
      env: { ...inherited, ...env },
      stdio: ['ignore', log.fd, log.fd],
    });
    const ended = once(child, 'close');
    try {
      if (interrupt !== undefined) {
        const isThere = async (): Promise<boolean> => (await this.#log()).includes(interrupt.at);
        const what = `the log has ${interrupt.at}`;
        await until(async () => child.exitCode !== null || (await isThere()), { what, timeout: 60_000 });
        child.kill(interrupt.signal);
      }
      await ended;
    } finally {
      child.kill('SIGKILL');
    }
    return child.exitCode;
  }

  async ended(status: number | null, { outputs, summary, metadata }: Ending): Promise<RecipeRun> {
    return {
      status,
      log: await this.#log(),
      outputs,
      summary,
      metadata: await readFile(metadata, 'utf8').catch(() => ''),
      args: await readFile(`${this.#scratch}/args`, 'utf8'),
    };
  }

  #log(): Promise<string> {
    return readFile(`${this.#scratch}/log`, 'utf8');
  }
}
