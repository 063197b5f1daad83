import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const run = promisify(execFile);

/** 0 is locked in, 10 is open to all. */
const highestExposure = { agent: 2.0, coordinator: 2.0 };

for (const [service, highest] of Object.entries(highestExposure)) {
  const unit = `scripts/systemd/archfarm-${service}.service`;

  test(`the ${service}'s unit has no fault that systemd knows of`, async () => {
    const { stdout, stderr } = await run('systemd-analyze', ['verify', unit]);
    // A word about another unit of the machine is none about ours.
    assert.not.match(`${stdout}${stderr}`, 'archfarm');
  });

  test(`the ${service}'s unit is exposed no more than ${highest}`, async () => {
    const { stdout } = await run('systemd-analyze', ['security', '--no-pager', '--offline=true', unit]);
    const exposure = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1];
    assert.ok(exposure !== undefined && Number(exposure) <= highest, stdout);
  });
}

test.run();
