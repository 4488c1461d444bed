// Redis readiness: checks whether the Redis on a port is the expected process and has loaded its data.
import { connect } from 'node:net';

const ANSWER_DEADLINE_MS = 1_000;

/**
 * Whether the process `pid` responds to PING on that port. The pid is compared because the Redis of another test run may
 * have bound the port first, and would respond too.
 */
export function isReady(host: string, port: number, pid: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    let reply = '';
    const done = (ready: boolean): void => {
      socket.destroy();
      resolve(ready);
    };
    socket.setTimeout(ANSWER_DEADLINE_MS, () => done(false));
    socket.on('error', () => done(false));
    socket.on('close', () => done(false));
    socket.on('connect', () => socket.write('PING\r\nINFO server\r\n'));
    socket.on('data', (chunk: Buffer) => {
      reply += chunk.toString();
      const process = /process_id:(\d+)\r\n/.exec(reply);
      if (process) done(reply.startsWith('+PONG') && Number(process[1]) === pid);
      else if (reply.startsWith('-')) done(false);
    });
  });
}
