/** Addresses that are no percent-encoded UTF-8, such as `/builds/%`: what they say is taken literally. */

/** The router would refuse them in words of its own, before anybody else is asked. */
export function decodableUrl(url: string): string {
  const query = url.indexOf('?');
  const path = query === -1 ? url : url.slice(0, query);
  try {
    decodeURIComponent(path);
    return url;
  } catch {
    return path.replaceAll('%', '%25') + (query === -1 ? '' : url.slice(query));
  }
}
