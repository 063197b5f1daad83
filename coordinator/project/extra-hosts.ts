/** Names that build steps find an address for: `extra_hosts` of Compose, `extra-hosts` of bake. */
import { layersAt, type Layer } from './layers.ts';
import type { YamlValue } from './yaml-value.ts';

/** `NAME:ADDRESS`, as the Engine API takes them. */
export function extraHostsAt(layers: readonly Layer[], key: string): string[] {
  return layersAt(layers, key).flatMap(({ value }) => (value.isList ? fromList(value) : fromMapping(value)));
}

function fromMapping(hosts: YamlValue): string[] {
  return hosts.entries().flatMap(([name, value]) => {
    const addresses = value.isList ? value.items().map((item) => item.text()) : [value.text()];
    return addresses.map((address) => `${name}:${bare(address)}`);
  });
}

function fromList(hosts: YamlValue): string[] {
  return hosts.items().map((item) => {
    const [, name, address] = /^([^=:]+)[=:](.+)$/.exec(item.text()) ?? [];
    if (name === undefined || address === undefined) throw item.error('must be NAME=ADDRESS');
    return `${name}:${bare(address)}`;
  });
}

/** The engine takes IPv6 addresses without their brackets. */
function bare(address: string): string {
  return address.replace(/^\[(.*)\]$/, '$1');
}
