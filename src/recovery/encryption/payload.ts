import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';

/**
 * The payload of the age format: chunks of 64 KiB, each sealed by itself with ChaCha20-Poly1305 under its number, and the last
 * one marked as last (https://github.com/C2SP/C2SP/blob/main/age.md#payload).
 */
export const chunkBytes = 64 * 1024;
export const tagBytes = 16;
export const sealedChunkBytes = chunkBytes + tagBytes;
/** Stands between header and chunks. */
export const payloadNonceBytes = 16;

const algorithm = 'chacha20-poly1305';
const keyBytes = 32;
const nonceBytes = 12;

/** The 32 bytes that chunks are sealed with, by the file's key (16 bytes) and the nonce behind its header. */
export function payloadKey(fileKey: Uint8Array, nonce: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', fileKey, nonce, 'payload', keyBytes));
}

/** Bytes of what is sealed, by the bytes of all its chunks; undefined when no chunks have that many. */
export function plainBytesOf(sealed: number): number | undefined {
  const chunks = Math.ceil(sealed / sealedChunkBytes);
  const last = sealed - (chunks - 1) * sealedChunkBytes;
  // An empty chunk is there only where nothing else is.
  if (chunks === 0 || last < tagBytes || (last === tagBytes && chunks > 1)) return undefined;
  return sealed - chunks * tagBytes;
}

/** Seals one chunk into `out`, which has room for it and its tag. */
export function sealChunk(key: Buffer, index: number, isLast: boolean, plain: Buffer, out: Buffer): void {
  const cipher = createCipheriv(algorithm, key, nonceOf(index, isLast), { authTagLength: tagBytes });
  cipher.update(plain).copy(out);
  cipher.final();
  cipher.getAuthTag().copy(out, plain.length);
}

/** Opens one chunk into `out`; false when it is not what was sealed as that chunk. */
export function openChunk(key: Buffer, index: number, isLast: boolean, sealed: Buffer, out: Buffer): boolean {
  const end = sealed.length - tagBytes;
  const decipher = createDecipheriv(algorithm, key, nonceOf(index, isLast), { authTagLength: tagBytes });
  decipher.setAuthTag(sealed.subarray(end));
  try {
    const plain = decipher.update(sealed.subarray(0, end));
    decipher.final();
    plain.copy(out);
    return true;
  } catch {
    return false;
  }
}

/** The number of the chunk in eleven bytes, and whether it is the last. */
function nonceOf(index: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(nonceBytes);
  nonce.writeUIntBE(index, nonceBytes - 1 - 6, 6);
  nonce.writeUInt8(isLast ? 1 : 0, nonceBytes - 1);
  return nonce;
}
