import type { BusSetting } from '../events/find-bus.ts';
import type { Located } from './located.ts';

/** The member `bus`: `none`, or `{ url, token_file }`; without it the bus that runs on this home. */
export function busIn(root: Located, from: (path: string) => string): BusSetting {
  const at = root.get('bus');
  if (at === undefined) return 'home';
  if (at.value === 'none') return 'none';
  if (!at.isMap) {
    at.wrong('must be none, or have a url below it');
    return 'none';
  }
  at.knownKeys(['url', 'token_file']);
  const [url, tokenFile] = [at.text('url'), at.text('token_file')];
  if (url === undefined) {
    if (at.get('url') === undefined) at.wrong('must have a url; say bus: none if there is no bus');
    return 'none';
  }
  // Never shown: what stands before an @ may be a password.
  if (!/^https?:\/\/[^@?#]+$/.test(url) || !URL.canParse(url)) {
    at.get('url')?.wrong('must begin with http:// or https://, without user name, password, ? and #');
    return 'none';
  }
  if (tokenFile !== undefined && travelsOpenly(url))
    at.get('url')?.note('takes the token over the network unencrypted; use https, or a tunnel (ssh -L)');
  return { url, tokenFile: tokenFile === undefined ? null : from(tokenFile) };
}

function travelsOpenly(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'http:' && !/^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
}
