// A sweep by hand: what it lists, deletes and rejects.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { intakeSweep } from '../../src/maintenance/intake-sweep.ts';
import { createIntakeOperator, type IntakeOperator } from '../../src/operator/intake.ts';
import { openMaintenanceFixture, type MaintenanceFixture } from '../maintenance/fixture.ts';
import { codeOf } from '../producer/fixture.ts';

let fixture: MaintenanceFixture;
let operator: IntakeOperator;

beforeEach(async () => {
  fixture = await openMaintenanceFixture();
  operator = createIntakeOperator(fixture.deps);
});
afterEach(() => fixture[Symbol.asyncDispose]());

test('lists content without a job by tenant, deletes none with isDry, and the given number with take', async () => {
  await fixture.born(1);
  const kept = await fixture.content();
  for (let count = 0; count < 3; count++) await fixture.content({ job: 'none' });
  await fixture.sweepAfter(15, intakeSweep(fixture.deps));
  const counts = {
    seen: 4,
    tenants: [{ tenant: 'acme', objects: 3, bytes: 21, oldest: expect.any(Number) as number }],
  };
  expect(await operator.sweepIntake({ isDry: true })).toEqual({ ...counts, due: 0, taken: 0 });
  fixture.deps.clock.advance(86_400_000);
  expect(await operator.sweepIntake({ isDry: true })).toEqual({ ...counts, due: 3, taken: 0 });
  expect(await fixture.intake()).toHaveLength(4);
  expect(await operator.sweepIntake({ take: 2 })).toEqual({ ...counts, due: 3, taken: 2 });
  expect(await operator.sweepIntake()).toMatchObject({ due: 1, taken: 1 });
  expect(await fixture.intake()).toEqual([kept]);
});

test('deletes content although the number of jobs with content has more than halved, if take is given', async () => {
  await fixture.born(1);
  for (let count = 0; count < 3; count++) await fixture.content();
  await fixture.sweepAfter(15, intakeSweep(fixture.deps));
  await fixture.redis.del(...(await fixture.redis.keys(`${fixture.deps.keys.prefix}:index:j*`)));
  await fixture.sweepAfter(1, intakeSweep(fixture.deps));
  fixture.deps.clock.advance(86_400_000);
  expect(await operator.sweepIntake()).toMatchObject({ due: 3, taken: 0 });
  expect(await operator.sweepIntake({ take: 3 })).toMatchObject({ due: 3, taken: 3 });
});

test('rejects with CONFIG_INVALID while Redis does not match the bucket', async () => {
  expect(await codeOf(() => operator.sweepIntake({ take: 1 }))).toBe('CONFIG_INVALID');
});
