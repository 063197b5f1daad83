/** `archfarm agents` and what can be told to single ones. */
import type { Command } from 'commander';
import type { AgentOrder } from './agent-orders.ts';
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
  order('rm', 'forget an agent that is away');
  agents.addHelpText('after', example('archfarm agents --json'));
}
