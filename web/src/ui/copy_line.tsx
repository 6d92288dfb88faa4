// A command to run, with a button that copies it.
import { useState } from 'preact/hooks';
import { announce } from '../console/announcer.tsx';
import { IconCopy } from './icons.tsx';

export function CopyLine({ command, label }: { command: string; label: string }) {
    const [copied, setCopied] = useState(false);
    const copy = async () => {
        try {
            await navigator.clipboard.writeText(command);
            setCopied(true);
            announce('Copied.');
            setTimeout(() => setCopied(false), 2000);
        } catch {
            announce('Copying is not allowed here; select the line instead.');
        }
    };
    return (
        <div class="copy-line">
            <code tabIndex={0} aria-label={label} role="group">
                {command}
            </code>
            {isSecureContext && (
                <button type="button" class="button" onClick={copy} aria-label={`Copy: ${label}`}>
                    <IconCopy />
                    {copied ? 'Copied' : 'Copy'}
                </button>
            )}
        </div>
    );
}
