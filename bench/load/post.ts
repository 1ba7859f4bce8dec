import { type Agent, request } from 'node:http';

/** The JSON answer to a POST; anything but a 2xx is an error. */
export function post<T>(agent: Agent, url: string, body: object): Promise<T> {
  return new Promise((resolve, reject) => {
    const text = JSON.stringify(body);
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const sent = request(url, { agent, method: 'POST', headers }, (response) => {
      let answer = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        answer += chunk;
      });
      response.on('end', () =>
        (response.statusCode ?? 500) < 300
          ? resolve(JSON.parse(answer) as T)
          : reject(new Error(`${url}: ${response.statusCode} ${answer}`)),
      );
    });
    sent.on('error', reject);
    sent.end(text);
  });
}
