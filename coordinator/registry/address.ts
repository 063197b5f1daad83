/**
 * Which addresses a registry may send us on to. Redirects, token realms and upload locations are the registry's words:
 * one on the Internet has no business pointing at this machine, its network or a cloud's metadata service.
 */
import { BlockList } from 'node:net';

export type Zone = 'public' | 'private' | 'loopback' | 'link-local';

/** From a registry in one zone (left) to another host. */
const reachable: Readonly<Record<Zone, readonly Zone[]>> = {
  public: ['public'],
  private: ['public', 'private'],
  loopback: ['public', 'private', 'loopback'],
  'link-local': ['public', 'link-local'],
};

export function mayReach(from: Zone, to: Zone): boolean {
  return reachable[from].includes(to);
}

/** Of an address as a socket reports it. */
export function zoneOf(address: string): Zone {
  const bare = address.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/i, '');
  const family = familyOf(bare);
  if (loopback.check(bare, family)) return 'loopback';
  if (linkLocal.check(bare, family)) return 'link-local';
  return local.check(bare, family) ? 'private' : 'public';
}

/** The unspecified address too: to connect there is to connect to this machine. */
const loopback = blockList(['0.0.0.0/8', '127.0.0.0/8', '::/128', '::1/128']);
const linkLocal = blockList(['169.254.0.0/16', 'fe80::/10']);
const local = blockList([
  '10.0.0.0/8',
  '100.64.0.0/10',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/3',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '2002::/16',
  'fc00::/7',
  'fec0::/10',
  'ff00::/8',
]);

function blockList(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [network = '', prefix] = range.split('/');
    list.addSubnet(network, Number(prefix), familyOf(network));
  }
  return list;
}

/** Of what is an address: `isIPv6` would compile an expression for it that takes as long as a request. */
function familyOf(address: string): 'ipv6' | 'ipv4' {
  return address.includes(':') ? 'ipv6' : 'ipv4';
}
