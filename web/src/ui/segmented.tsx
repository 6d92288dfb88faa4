// A choice of few, as radio buttons that look like one control. Arrow keys move, as radios do.
import { useId } from 'preact/hooks';

export function Segmented<T extends string>(props: {
    label: string;
    options: readonly { value: T; label: string }[];
    value: T;
    onChange(value: T): void;
}) {
    const name = useId();
    return (
        <fieldset class="segmented">
            <legend class="visually-hidden">{props.label}</legend>
            {props.options.map((option) => (
                <label key={option.value} data-checked={option.value === props.value}>
                    <input
                        type="radio"
                        name={name}
                        value={option.value}
                        checked={option.value === props.value}
                        onChange={() => props.onChange(option.value)}
                    />
                    <span>{option.label}</span>
                </label>
            ))}
        </fieldset>
    );
}
