import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mayReach, zoneOf } from '../../../coordinator/registry/address.ts';

test('knows where an address leads, in every spelling of a socket', () => {
  const zones = {
    public: ['8.8.8.8', '172.32.0.1', '2606:4700::1'],
    private: [
      '10.1.2.3',
      '172.31.0.1',
      '192.168.0.1',
      '100.100.100.200',
      'fd00:ec2::254',
      '::ffff:10.0.0.1',
      '::ffff:a00:1',
      '239.0.0.1',
    ],
    loopback: ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1', '0.0.0.0', '::'],
    'link-local': ['169.254.169.254', '::ffff:169.254.169.254', '::ffff:a9fe:a9fe', 'fe80::1%eth0'],
  } as const;
  for (const [zone, addresses] of Object.entries(zones)) {
    for (const address of addresses) assert.is(zoneOf(address), zone, address);
  }
});

test('a registry on the Internet leads only to the Internet, and none but a neighbour to link-local', () => {
  assert.equal(
    (['public', 'private', 'loopback', 'link-local'] as const).map((to) => mayReach('public', to)),
    [true, false, false, false],
  );
  assert.not(mayReach('private', 'loopback'));
  assert.not(mayReach('loopback', 'link-local'));
});

test.run();
