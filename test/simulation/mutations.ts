/**
 * Mistakes that the simulation must find: each is made in a copy of the source, and a seed must show which promise it
 * breaks.
 */
export interface Mutation {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** The seed that showed it first; another may when the farm has changed. */
  readonly seed: number;
  /** What it violates: one name, or several with bars between them. */
  readonly invariant: string;
}

const tasks = 'coordinator/farm/task-transitions.ts';
const scheduler = 'coordinator/farm/scheduler.ts';
const placement = 'coordinator/farm/placement.ts';

export const mutations: readonly Mutation[] = [
  {
    name: 'a lease that does not expire',
    file: scheduler,
    find: 'Math.max(heardAt + timers.lost, state.grace.until)',
    replace: 'Math.max(Infinity, state.grace.until)',
    seed: 1,
    invariant: 'lease',
  },
  {
    name: 'a lease that expires while the coordinator has only just come back',
    file: scheduler,
    find: 'Math.max(heardAt + timers.lost, state.grace.until)',
    replace: 'heardAt + timers.lost',
    seed: 1,
    invariant: 'kept',
  },
  {
    name: 'a result accepted twice',
    file: tasks,
    find: 'attempt.report = image;',
    replace: '',
    seed: 1,
    invariant: 'once',
  },
  {
    name: 'a lost acknowledgement of the journal',
    file: tasks,
    find: "step.effects.push({ type: 'settle', attempt: id, agent });",
    replace: 'void agent;',
    seed: 1,
    invariant: 'leak',
  },
  {
    name: 'an offer with a used attempt number',
    file: placement,
    find: 'number: task.attempts.length + 1',
    replace: 'number: Math.max(1, task.attempts.length)',
    seed: 1,
    invariant: 'numbers',
  },
  {
    name: 'a list published before every image is verified',
    file: 'coordinator/farm/build-state.ts',
    find: "tasks.every((task) => task.status === 'pushed' ||",
    replace: "tasks.some((task) => task.status === 'pushed' ||",
    seed: 1,
    invariant: 'list',
  },
  {
    name: 'an older build that overwrites a newer tag',
    file: scheduler,
    find: '(state.published.get(tag) ?? 0) <= build.sequence',
    replace: '(state.published.get(tag) ?? 0) >= 0 && build.sequence >= 0',
    seed: 1,
    invariant: 'newest',
  },
  {
    name: 'two writers of one tag at a time',
    file: scheduler,
    find: '!tags.some((tag) => taken.has(tag))',
    replace: 'taken.size >= 0',
    seed: 1,
    invariant: 'newest',
  },
  {
    name: 'an event that has consequences and is not stored',
    file: 'coordinator/farm/events.ts',
    find: "  'agent-up',\n",
    replace: "  'agent-up', 'reported' as never,\n",
    seed: 1,
    invariant: 'restart',
  },
  {
    name: 'a cancel that leaves an attempt running',
    file: 'coordinator/farm/stop-attempts.ts',
    find: "step.effects.push({ type: 'cancel', attempt: attempt.id, agent: attempt.agent, reason: options.reason });",
    replace: 'void holding;',
    seed: 2,
    invariant: 'stops',
  },
  {
    name: 'a cancel in the middle of a publication',
    file: 'coordinator/farm/build-transitions.ts',
    find: '  if (build.publishing !== undefined) return;\n  for (const task',
    replace: '  for (const task',
    seed: 1,
    invariant: 'tag-unchanged',
  },
  {
    name: 'another try after an error of the build itself',
    file: tasks,
    find: 'if (isVerdict(failed)) return giveUp(step, found, error);',
    replace: '',
    seed: 1,
    invariant: 'no-retry',
  },
  {
    name: 'one try too many',
    file: tasks,
    find: 'maxTries = 3',
    replace: 'maxTries = 4',
    seed: 1,
    invariant: 'tries',
  },
  {
    name: 'a slot that is never free again',
    file: tasks,
    find: 'agent.held.delete(name)',
    replace: 'agent.held.has(name)',
    seed: 1,
    invariant: 'ends-in-time|one-at-a-time|leak',
  },
  {
    name: 'one offer more than there are slots',
    file: placement,
    find: 'return this.#slotsOf(agent) < slots;',
    replace: 'return this.#slotsOf(agent) <= slots;',
    seed: 1,
    invariant: 'slots',
  },
  {
    name: 'an agent that is offered a platform that it emulates although nobody allowed that',
    file: 'coordinator/farm/roster.ts',
    find: "(agent) => offers(agent, task.platform) === 'native'",
    replace: '(agent) => offers(agent, task.platform) !== undefined',
    seed: 1,
    invariant: 'fits',
  },
  {
    name: 'frames that are not sent again after a reconnect',
    file: 'agent/outbox.ts',
    find: '    this.#sent = 0;\n    this.#sentBytes = 0;\n',
    replace: '',
    seed: 1,
    invariant: 'log',
  },
  {
    name: 'a drained agent that is offered work',
    file: 'coordinator/farm/agent-transitions.ts',
    find: 'standingOf(step.state, name).drained ??= { by, at: step.at };',
    replace: 'standingOf(step.state, name); void by;',
    seed: 1,
    invariant: 'drained',
  },
  {
    name: 'an agent without the labels that were asked for',
    file: 'coordinator/farm/agent-state.ts',
    find: 'facts.labels[name] === value',
    replace: '(facts.labels[name] ?? value) === value',
    seed: 1,
    invariant: 'fits',
  },
  {
    name: 'a time limit that counts the wait for an agent',
    file: scheduler,
    find: 'acceptedAt === undefined ? 0 : (endedAt ?? at) - acceptedAt',
    replace: 'at - task.createdAt + 0 * (acceptedAt ?? endedAt ?? 0)',
    seed: 1,
    invariant: 'time-limit',
  },
  {
    name: 'a time limit that nobody keeps',
    file: scheduler,
    find: 'if (at > timeUp)',
    replace: 'if (timeUp < 0)',
    seed: 1,
    invariant: 'time-limit',
  },
];
