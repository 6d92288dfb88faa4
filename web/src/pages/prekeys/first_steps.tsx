// Shown until the first identity registers: what to try, with lines that work as they are.
import { CopyLine } from '../../ui/copy_line.tsx';

export function FirstSteps({ service }: { service: URL }) {
    const base = service.href.replace(/\/$/, '');
    return (
        <section class="first-steps" aria-labelledby="first-steps-title" data-testid="first-steps">
            <h2 id="first-steps-title">No identities yet</h2>
            <p>
                The server is ready; nobody has registered. Ask it for a bundle and watch the
                answer, then let a client register: it signs the upload with its own identity key,
                so there is no account to create here.
            </p>
            <ol>
                <li>
                    <p>Does it answer?</p>
                    <CopyLine
                        command={`curl -s ${base}/health`}
                        label="Check the health of the server"
                    />
                </li>
                <li>
                    <p>
                        Fetch a bundle. Until someone registers <code>alice:1</code>, the answer is
                        404 <code>SHADE_NOT_FOUND</code>.
                    </p>
                    <CopyLine
                        command={`curl -si ${base}/v1/keys/bundle/alice:1`}
                        label="Fetch the bundle of an address"
                    />
                </li>
                <li>
                    <p>
                        Register from a client. The <a href={`${base}/docs`}>API reference</a> shows
                        the body and how it is signed; the identity appears here at once.
                    </p>
                </li>
            </ol>
        </section>
    );
}
