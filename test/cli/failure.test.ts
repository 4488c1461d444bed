// The text of a failed command: the position of the code, and the remedy.
import { expect, test } from 'vitest';
import { textOf } from '../../src/cli/failure.ts';
import { SealdexError } from '../../src/runtime/errors.ts';

test.each([
  ['Try again.', 'Try again (STORE_FAILED).'],
  ['The port is in use. Choose another port.', 'The port is in use (STORE_FAILED). Choose another port.'],
  ['Tenant a does not exist. Create it: sealdex x', 'Tenant a does not exist (STORE_FAILED). Create it: sealdex x'],
  ['tenant must be _, = or -.', 'tenant must be _, = or - (STORE_FAILED).'],
])('the code is at the end of the first sentence: %s', (message, text) => {
  expect(textOf(new SealdexError('STORE_FAILED', message))).toBe(text);
});
