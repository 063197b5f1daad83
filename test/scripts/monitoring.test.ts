/** The files for Prometheus and Grafana, as Prometheus' own tool reads them. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { parse, stringify } from 'yaml';
import { promtool } from '../../scripts/rig/promtool.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const run = promisify(execFile);
const monitoring = fileURLToPath(new URL('../../scripts/monitoring', import.meta.url));
const alerts = `${monitoring}/archfarm-alerts.yml`;
const cases = fileURLToPath(new URL('./alert-cases.yml', import.meta.url));

const ruleFile = v.object({
  groups: v.array(v.object({ rules: v.array(v.object({ alert: v.string() })) })),
});
const caseFile = v.object({
  tests: v.array(
    v.object({
      alert_rule_test: v.array(v.object({ alertname: v.string(), exp_alerts: v.array(v.unknown()) })),
    }),
  ),
});
const dashboard = v.object({
  panels: v.array(v.object({ targets: v.optional(v.array(v.object({ expr: v.string() })), []) })),
});

test('the alert rules are ones that Prometheus takes, and fire when they say', async () => {
  const program = await promtool();
  await run(program, ['check', 'rules', alerts]);
  await run(program, ['test', 'rules', cases]);
});

test('there is a case for each alert in which it fires', async () => {
  const rules = v
    .parse(ruleFile, parse(await readFile(alerts, 'utf8')))
    .groups.flatMap((group) => group.rules);
  const tried = v
    .parse(caseFile, parse(await readFile(cases, 'utf8')))
    .tests.flatMap(({ alert_rule_test: expectations }) =>
      expectations.filter((expected) => expected.exp_alerts.length > 0).map(({ alertname }) => alertname),
    );
  assert.equal(
    rules.map(({ alert }) => alert).filter((name) => !tried.includes(name)),
    [],
  );
});

test('every expression of the Grafana dashboard is one that Prometheus takes', async () => {
  await using directory = await temporaryDirectory();
  const { panels } = v.parse(
    dashboard,
    JSON.parse(await readFile(`${monitoring}/archfarm-dashboard.json`, 'utf8')),
  );
  const expressions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  assert.ok(expressions.length > 20);
  // Grafana's own variable has no meaning to Prometheus.
  const rules = expressions.map((expr, index) => ({
    record: `panel:${index}`,
    expr: expr.replaceAll('$__rate_interval', '5m'),
  }));
  const file = `${directory.path}/expressions.yml`;
  await writeFile(file, stringify({ groups: [{ name: 'dashboard', rules }] }));
  await run(await promtool(), ['check', 'rules', file]);
});

test.run();
