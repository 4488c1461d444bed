// What a probe is told as: what KMS said, and what happens next.
import type { ProbeAnswer } from '../app/app.ts';
import { CODES } from '../runtime/errors.ts';
import { nextProbeOf } from './gate-lines.ts';

const isShut = (gate: Gate): gate is NonNullable<Gate> => gate !== undefined && gate.state !== 'draining';

/** As a shell counts what a probe has found out; 75 (again later) when it found out nothing. */
export function exitOf({ said, isBusy, gate }: ProbeAnswer): number {
  if (said === 'ok') return 0;
  if (said !== undefined) return CODES[said].exit;
  if (isBusy) return CODES.KEY_UNAVAILABLE.exit;
  return isShut(gate) ? CODES[gate.code].exit : 0;
}

const afterGood = (gate: Gate): string =>
  isShut(gate)
    ? `One more good probe opens the gate; a worker makes it ${nextProbeOf(gate.nextProbe ?? 0)}.`
    : `The gate is open, and the parked jobs are being released.`;

const next = (gate: Gate): string =>
  isShut(gate) && gate.nextProbe !== undefined ? `A worker tries it again ${nextProbeOf(gate.nextProbe)}.` : '';

export function probeLine({ tenant, said, reason, isBusy, gate }: ProbeAnswer): string {
  const begin = `Tenant ${tenant}:`;
  if (isBusy) return `${begin} another process tries the key at this moment; ask again.`;
  if (said === 'ok') return `${begin} KMS accepts the key. ${afterGood(gate)}`;
  if (said !== undefined) {
    const verb = CODES[said].disposition === 'park' ? 'KMS refuses the key' : 'KMS gave no answer about the key';
    const mark = reason === undefined ? said : `${said} ${reason}`;
    return `${begin} ${verb}: ${CODES[said].description} (${mark}). ${next(gate)}`;
  }
  if (!isShut(gate)) return `${begin} KMS was not asked: the gate is open, and what was parked is being released.`;
  const way = gate.state === 'destroyed' ? `sealdex keys release ${gate.keyArn} lets KMS decide.` : gate.commands[0];
  return `${begin} KMS was not asked: ${CODES[gate.code].description} (${gate.code}). ${way ?? ''}`.trimEnd();
}

type Gate = ProbeAnswer['gate'];
