/** `archfarm doctor`: what would keep a build from succeeding, and what to do about it. */
import { checkCoordinator } from '../../shared/check-coordinator.ts';
import { check, formatChecks, isWell, type Check } from '../../shared/checks.ts';
import { ArchfarmError, type ErrorInfo } from '../../shared/errors.ts';
import { parseReference, withDefaultTag, formatReference } from '../../shared/reference.ts';
import { findSubject } from '../project/find-subject.ts';
import { isOutdated } from './agents.ts';
import type { AgentInfo } from './api-answers.ts';
import { Api } from './api.ts';
import { examineEngine } from './doctor-engine.ts';
import { examineRegistries } from './doctor-registries.ts';
import { configuredCoordinator, type GlobalOptions } from './global-options.ts';
import { print, printJson } from './output.ts';
import { plainText } from './progress/sanitize.ts';
import { givenRegistryFlag, type RegistryFlags } from './registry-options.ts';

export interface DoctorOptions {
  readonly registry: RegistryFlags;
  readonly global: GlobalOptions;
}

/** Gives the exit status: 1 when anything failed. */
export async function runDoctor(target: string | undefined, options: DoctorOptions): Promise<number> {
  const found = await diagnose(target, options);
  if (options.global.json) printJson(found);
  else print(plainLines(found));
  return isWell(found) ? 0 : 1;
}

/** `target` is a service of the project file, or a reference. */
export async function diagnose(
  target: string | undefined,
  { registry, global }: DoctorOptions,
): Promise<readonly Check[]> {
  const { signal } = global;
  // What there is to say of it is said among the checks.
  const coordinator = await configuredCoordinator({ ...global, quiet: true });
  const tags: string[] = [];
  const found = [
    ...(await check('project', async () => {
      tags.push(...(await tagsOf(target)));
      return [];
    })),
  ];
  if (coordinator === undefined) {
    found.push(
      {
        state: 'ok',
        subject: 'coordinator',
        what: 'none is configured: builds run on the engine of this machine',
      },
      ...(await check('engine', () => examineEngine(signal))),
      ...(await examineRegistries(tags, { registry, signal })),
    );
  } else {
    refuseFlags(registry);
    const reached = await checkCoordinator({ ...coordinator, signal });
    found.push(...reached);
    if (isWell(reached)) {
      using api = new Api(coordinator);
      found.push(...(await check('agents', () => examineAgents(api, signal))));
      found.push(...(await check('registry', () => examinePushes(api, tags, signal))));
    }
  }
  if (tags.length === 0) found.push(noImage);
  return found;
}

const noImage: Check = {
  state: 'ok',
  subject: 'registry',
  what: 'none was asked: no image is named here',
  hint: 'archfarm doctor NAME or archfarm doctor REF tells whether that can be pushed',
};

/** Final names: a reference itself, or those that the project file gives. None where nothing was asked. */
async function tagsOf(target: string | undefined): Promise<readonly string[]> {
  try {
    const { build } = await findSubject(target, undefined, { cwd: process.cwd(), environment: process.env });
    if (target === undefined || build.tags.length > 0) return build.tags.map(inFull);
  } catch (error) {
    const isReference = error instanceof ArchfarmError && error.code === 'unknown-name';
    if (!isReference || target === undefined || !/[/:.]/.test(target)) throw error;
  }
  return [inFull(target)];
}

function inFull(text: string): string {
  return formatReference(withDefaultTag(parseReference(text)));
}

function refuseFlags(registry: RegistryFlags): void {
  const flag = givenRegistryFlag(registry);
  if (flag === undefined) return;
  throw new ArchfarmError('config', `${flag} is the coordinator's to say, not a client's`, {
    hint: `start it with archfarm serve ${flag} …`,
  });
}

async function examineAgents(api: Api, signal: AbortSignal): Promise<readonly Check[]> {
  const agents = await api.agents(signal);
  if (agents.length === 0) {
    return [
      {
        state: 'fail',
        subject: 'agents',
        what: 'none is connected: nothing can be built',
        hint: 'archfarm-agent doctor, on the host of one, tells what is in its way',
      },
    ];
  }
  const found = agents.map(examineAgent);
  return agents.some(({ state }) => state === 'ready') ? found : [noneReady(agents), ...found];
}

/** Each of them may have its reasons; together they build nothing. */
function noneReady(agents: readonly AgentInfo[]): Check {
  const states = [...new Set(agents.map(({ state }) => state))].toSorted();
  const counts = states.map((each) => `${agents.filter(({ state }) => state === each).length} ${each}`);
  const who = agents.length === 1 ? 'the only agent is not ready' : `none of ${agents.length} is ready`;
  return {
    state: 'fail',
    subject: 'agents',
    what: `${who}: nothing can be built (${counts.join(', ')})`,
    hint: 'archfarm-agent doctor, on the host of one, tells what is in its way',
  };
}

function examineAgent(agent: AgentInfo): Check {
  const { name, state, reason, platforms, slots, busy } = agent;
  const subject = 'agent';
  const offered = platforms.map(({ platform, native }) => (native ? platform : `${platform} (emulated)`));
  const why = state !== 'ready' && reason ? ` (${reason})` : '';
  const what = `${name} is ${state}, ${busy} of ${slots} slots busy: ${offered.join(', ')}${why}`;
  if (state !== 'ready') {
    return { state: 'warn', subject, what, hint: `archfarm-agent doctor on the host of ${name} tells more` };
  }
  if (!isOutdated(agent)) return { state: 'ok', subject, what };
  return {
    state: 'warn',
    subject,
    what: `${what}; it is ${agent.version} and speaks protocol ${agent.protocol}, which is served`,
    hint: `update archfarm-agent on the host of ${name}`,
  };
}

/** The coordinator's credentials count, so it is the coordinator who asks. */
async function examinePushes(
  api: Api,
  tags: readonly string[],
  signal: AbortSignal,
): Promise<readonly Check[]> {
  if (tags.length === 0) return [];
  const plan = await api.plan(
    { platforms: [], allowEmulation: false, tags, suffix: 'repo', force: false },
    signal,
  );
  return plan.repositories.map(({ repository, error }) =>
    error === undefined
      ? { state: 'ok', subject: 'registry', what: `the coordinator may push to ${repository}` }
      : failed(repository, error),
  );
}

function failed(repository: string, { message, hint }: ErrorInfo): Check {
  return {
    state: 'fail',
    subject: 'registry',
    what: `the coordinator cannot push to ${repository}: ${message}`,
    ...(hint === undefined ? {} : { hint }),
  };
}

/** Messages may repeat what a registry or an agent said. */
function plainLines(checks: readonly Check[]): string {
  return formatChecks(
    checks.map(({ what, hint, ...rest }) => ({
      ...rest,
      what: plainText(what),
      ...(hint === undefined ? {} : { hint: plainText(hint) }),
    })),
  );
}
