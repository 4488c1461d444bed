// `sealdex dev` on the pages: its fixed ports and the steps that it prints equal those of the README and docs/cli.md.
import { expect, test } from 'vitest';
import { buildProgram } from '../../src/cli/cli.ts';
import { stepsFor } from '../../src/cli/dev/dev.ts';
import { portsFrom, type DevPorts } from '../../src/cli/dev/ports.ts';
import { faultOf } from './command-lines.ts';
import { fileOf } from './pages.ts';
import { helps } from './texts.ts';

const portsIn = (text: string, form: RegExp): DevPorts => {
  const [redis = 0, s3 = 0, kms = 0, health = 0] = (form.exec(text.replaceAll(/\s+/g, ' ')) ?? []).slice(1).map(Number);
  return { redis, s3, kms, health };
};

test('help, docs/cli.md and the changelog name the ports that dev uses by default', async () => {
  const dev = (await buildProgram()).commands.find((command) => command.name() === 'dev');
  const ports = portsFrom(dev?.options.find(({ long }) => long === '--port')?.defaultValue as number);
  const help = (await helps()).find(([name]) => name === 'dev')?.[1] ?? '';
  const listed = /(\d+) \(Redis\), (\d+) \(S3\), (\d+) \(KMS and STS\) and (\d+) \(/;
  expect(portsIn(help, listed)).toEqual(ports);
  expect(portsIn(fileOf('CHANGELOG.md'), listed)).toEqual(ports);
  const sentence =
    /Redis on port (\d+), S3 on (\d+), KMS and STS on (\d+), health and metrics of the worker on (\d+)\./;
  expect(portsIn(fileOf('docs/cli.md'), sentence)).toEqual(ports);
});

test('help of dev and demo and docs/cli.md name the command that installs their packages', async () => {
  const [install = 'none'] = /npm install --save-dev [^`]+/.exec(fileOf('docs/cli.md')) ?? [];
  expect(install).toMatch(/ @sealdex\/local-aws @sealdex\/extract$/);
  const naming = (await helps()).filter(([, help]) => help.split('\n').includes(install)).map(([name]) => name);
  expect(naming.toSorted()).toEqual(['demo', 'dev']);
});

const blockLines = (text: string, indent: string): string[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith(indent) && line[indent.length] !== ' ')
    .map((line) => line.split(' #')[0]!.trim());

const steps = blockLines(stepsFor(9473), '  ');

test('every command that dev prints can be run unchanged', async () => {
  const lines = steps.filter((line) => line.startsWith('npx sealdex '));
  expect(lines).toContain('npx sealdex dev key disable acme');
  expect(lines).toContain('npx sealdex dev key enable acme');
  for (const line of lines) expect(await faultOf(buildProgram, line.slice('npx sealdex '.length))).toBeUndefined();
});

test('dev prints the steps of the README in the same order', () => {
  const [, section = ''] = /In a second terminal(.*?)^## /ms.exec(fileOf('README.md')) ?? [];
  const shown = blockLines(section, '    ');
  expect(shown.length).toBeGreaterThan(5);
  let from = 0;
  for (const line of shown) {
    expect(steps.slice(from)).toContain(line);
    from = steps.indexOf(line, from) + 1;
  }
});

test('the README and dev give the same time for the job to finish', () => {
  const [, time] = /the job finishes within (\w+)/.exec(fileOf('README.md')) ?? [];
  expect(stepsFor(9473)).toContain(`see within ${time} that the gate opens`);
});
