// Probe line: the result of a probe, and the next step.
import type { ProbeAnswer } from '../app/app.ts';
import { CODES } from '../runtime/errors.ts';
import { nextProbeOf } from './gate-lines.ts';

const isShut = (gate: Gate): gate is NonNullable<Gate> => gate !== undefined && gate.state !== 'draining';

/** Exit code of a probe: 75 (try again later) if it has no result. */
export function exitOf({ said, isBusy, gate }: ProbeAnswer): number {
  if (said === 'ok') return 0;
  if (said !== undefined) return CODES[said].exit;
  if (isBusy) return CODES.KEY_UNAVAILABLE.exit;
  return isShut(gate) ? CODES[gate.code].exit : 0;
}

const afterGood = (gate: Gate): string =>
  isShut(gate)
    ? `One more successful probe opens the gate. Next probe ${nextProbeOf(gate.nextProbe ?? 0)}.`
    : 'The gate is open and parked jobs are being released.';

const next = (gate: Gate): string =>
  isShut(gate) && gate.nextProbe !== undefined ? `Next probe ${nextProbeOf(gate.nextProbe)}.` : '';

const nextOf = ({ commands: [command] }: NonNullable<Gate>): string =>
  command === undefined ? '' : `Next: ${command}`;

export function probeLine({ tenant, said, reason, isBusy, gate }: ProbeAnswer): string {
  const begin = `Tenant ${tenant}:`;
  if (isBusy) return `${begin} another process is probing the key. Try again.`;
  if (said === 'ok') return `${begin} KMS accepts the key. ${afterGood(gate)}`;
  if (said !== undefined) {
    const verb = CODES[said].disposition === 'park' ? '' : 'the probe was inconclusive because ';
    const mark = reason === undefined ? said : `${said} ${reason}`;
    return `${begin} ${verb}${CODES[said].description} (${mark}). ${next(gate)}`.trimEnd();
  }
  if (!isShut(gate)) return `${begin} not probed because the gate is open and parked jobs are being released.`;
  const way = gate.state === 'destroyed' ? `To force it open: sealdex keys release ${gate.keyArn}` : nextOf(gate);
  return `${begin} not probed because ${CODES[gate.code].description} (${gate.code}). ${way}`.trimEnd();
}

type Gate = ProbeAnswer['gate'];
