/** `archfarm agents` and what can be told to single ones. */
import type { Command } from 'commander';
import type { AgentAddOptions } from './agent-add.ts';
import type { AgentOrder } from './agent-orders.ts';
import { collect } from './collect.ts';
import { example, globalOptions, type ProgramContext } from './command-parts.ts';

export function addAgentCommands(program: Command, { signal }: ProgramContext): void {
  const agents = program.command('agents').description('the machines of the farm');
  agents
    .command('ls', { isDefault: true })
    .description('list the agents, what they build and how busy they are')
    .option('--json', 'as JSON')
    .addHelpText('after', example('archfarm agents --json'))
    .action(async (_flags: unknown, command: Command) => {
      const { runAgents } = await import('./agents.ts');
      await runAgents(globalOptions(command, signal));
    });
  agents
    .command('add')
    .description('let a host join the farm under this name, and print what to run there')
    .argument('<name>', 'how the agent is called')
    .option('--platform <list>', 'offer only these platforms, repeatable', collect)
    .option(
      '--allow-push <prefix>',
      'push only there: a registry, namespace or repository, like registry.lab:5000/onap; repeatable',
      collect,
    )
    .option('--json', 'as JSON')
    .addHelpText('after', example('archfarm agents add pi-01 --allow-push registry.lab:5000/onap'))
    .action(async (name: string, flags: AgentAddOptions, command: Command) => {
      const { runAgentAdd } = await import('./agent-add.ts');
      await runAgentAdd(name, flags, globalOptions(command, signal));
    });
  const order = (verb: AgentOrder, description: string): void => {
    agents
      .command(verb)
      .description(description)
      .argument('<name>', 'agent, as archfarm agents lists it')
      .addHelpText('after', example(`archfarm agents ${verb} pi-01`))
      .action(async (name: string, _flags: unknown, command: Command) => {
        const { runAgentOrder } = await import('./agent-orders.ts');
        await runAgentOrder(verb, name, globalOptions(command, signal));
      });
  };
  order('drain', 'give an agent no new work; it finishes what it has, and stays drained until resumed');
  order('resume', 'give an agent work again that was drained, or had failed too often');
  order(
    'rm',
    'remove an agent: what it has goes to others at once, and one that has joined is let in no more',
  );
  agents.addHelpText('after', example('archfarm agents --json'));
}
