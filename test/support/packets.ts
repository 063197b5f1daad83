/** What the kernel does to packets of one TCP port on the loopback interface: a real loss, which no program hears of. */
import { addPacketRule, removePacketRule, ruleMark } from '../../scripts/rig/packet-rules.ts';

export interface PacketRule extends AsyncDisposable {
  lift(): Promise<void>;
}

/** `to`: what goes to whoever listens on the port; `from`: what it answers. */
export type Direction = 'to' | 'from' | 'both';

export interface PacketRuleOptions {
  readonly port: number;
  readonly direction?: Direction;
  /** Of all packets, at random; all if not given. */
  readonly share?: number;
}

/** Needs root. Packets vanish until the rule is lifted. */
export async function dropPackets({
  port,
  direction = 'both',
  share = 1,
}: PacketRuleOptions): Promise<PacketRule> {
  const sides = direction === 'both' ? ['--dport', '--sport'] : [direction === 'to' ? '--dport' : '--sport'];
  const chance = share < 1 ? ['-m', 'statistic', '--mode', 'random', '--probability', String(share)] : [];
  return addRules(sides.map((side) => ['-p', 'tcp', side, String(port), ...chance, '-j', 'DROP']));
}

/** Connections to the port are reset, old ones and new ones. */
export function resetPackets({ port }: Pick<PacketRuleOptions, 'port'>): Promise<PacketRule> {
  return addRules([['-p', 'tcp', '--dport', String(port), '-j', 'REJECT', '--reject-with', 'tcp-reset']]);
}

async function addRules(rules: readonly (readonly string[])[]): Promise<PacketRule> {
  const whole = rules.map((rule) => ['INPUT', '-i', 'lo', '-m', 'comment', '--comment', ruleMark, ...rule]);
  for (const rule of whole) await addPacketRule(rule);
  let lifted = false;
  const lift = async (): Promise<void> => {
    if (lifted) return;
    lifted = true;
    for (const rule of whole) await removePacketRule(rule);
  };
  return { lift, [Symbol.asyncDispose]: lift };
}

/** Of `ADDRESS:PORT`. */
export function portOf({ address }: { readonly address: string }): number {
  return Number(new URL(`http://${address}`).port);
}
