/** The list that a build has published: its tags, and the image of every platform. */
import { formatSize } from '../../../shared/size.ts';
import type { BuildResult } from '../../../shared/progress.ts';
import { CopyButton } from '../parts/copy-button.tsx';
import { shortDigest } from '../parts/format.ts';

export function Published({ result }: { readonly result: BuildResult }) {
  const list = result['containerimage.descriptor'];
  const children = result.platforms.filter(({ digest }) => digest !== undefined);
  return (
    <section class="panel" aria-labelledby="published">
      <div class="panel-head">
        <h2 id="published">{list === undefined ? 'To be published' : 'Published'}</h2>
      </div>
      <ul class="tags">
        {result.tags.map((tag) => (
          <li key={tag}>
            <code>{tag}</code>
            <CopyButton text={tag} what={tag} />
          </li>
        ))}
      </ul>
      {list !== undefined && (
        <dl class="pairs">
          <dt>Digest</dt>
          <dd class="mono" title={list.digest}>
            {shortDigest(list.digest)}
            <CopyButton text={list.digest} what="the digest of the list" />
          </dd>
          <dt>Type</dt>
          <dd>
            {list.mediaType.includes('oci') ? 'OCI image index' : 'Docker manifest list'},{' '}
            {formatSize(list.size)}
          </dd>
          {result.timings.publish !== undefined && (
            <>
              <dt>Took</dt>
              <dd class="number">{result.timings.publish} ms</dd>
            </>
          )}
        </dl>
      )}
      {children.length > 0 && (
        <ul class="children">
          {children.map(({ platform, reference, digest = '', imageSize }) => (
            <li key={platform}>
              <div class="child-head">
                <b>{platform}</b>
                {imageSize !== undefined && (
                  <span class="muted number" title="config and layers, compressed">
                    {formatSize(imageSize)}
                  </span>
                )}
              </div>
              <div class="mono muted" title={digest}>
                {shortDigest(digest)}
                <CopyButton text={digest} what={`the digest for ${platform}`} />
              </div>
              <div class="reference">
                <code>{reference}</code>
              </div>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
