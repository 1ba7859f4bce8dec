import { createHmac, timingSafeEqual } from 'node:crypto';

type Form = { digits: number; algorithm: 'sha1' | 'sha256' | 'sha512' };

/** What every authenticator understands, whatever else a QR code says. */
const usual: Form = { digits: 6, algorithm: 'sha1' };
const stepMs = 30_000;
/** Steps before and after the clock's: for a phone that is off by a little, and a person who types slowly (RFC 6238, 5.2). */
const drift = 1;

/** The step of RFC 6238 that a time is in. */
export const stepAt = (ms: number) => Math.floor(ms / stepMs);

/** The code of a step: HOTP (RFC 4226, 5.3) of its number. */
export function codeAt(secret: Uint8Array, step: number, { digits, algorithm }: Form = usual): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac(algorithm, secret).update(counter).digest();
  const offset = (mac.at(-1) as number) & 0x0f;
  const value = (mac.readUInt32BE(offset) & 0x7fffffff) % 10 ** digits;
  return String(value).padStart(digits, '0');
}

/** `used`: it was right, and was accepted before, or is older than one that was. */
export type Judged = { kind: 'right'; step: number } | { kind: 'used' } | { kind: 'wrong' };

/** Judges a code of six digits at a time. Takes as long for a wrong one as for a right one. */
export function judgeCode(secret: Uint8Array, code: string, nowMs: number, lastStep: number): Judged {
  const now = stepAt(nowMs);
  let judged: Judged = { kind: 'wrong' };
  for (let step = now - drift; step <= now + drift; step++) {
    const right = Buffer.from(codeAt(secret, step));
    const given = Buffer.from(code);
    if (given.length !== right.length || !timingSafeEqual(given, right)) continue;
    // Two steps may have the same code; the later one is the one that can still be used.
    judged = step > lastStep ? { kind: 'right', step } : { kind: 'used' };
  }
  return judged;
}

/** What a QR code for an authenticator says (the key URI format of Google Authenticator). */
export function otpauthUri(secretText: string, account: string): string {
  const label = `LeverEdge:${encodeURIComponent(account)}`;
  return `otpauth://totp/${label}?secret=${secretText}&issuer=LeverEdge`;
}
