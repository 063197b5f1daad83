/**
 * Texts of a bake file are templates of HCL (https://github.com/hashicorp/hcl/blob/main/hclsyntax/spec.md, "Template
 * Expressions"). Of its expressions we know variables; the rest is for docker buildx itself to work out.
 */

export interface TemplateVariables {
  /** Throws for a name that is none; undefined for a variable that is null. */
  value(name: string): string | undefined;
}

/** `${NAME}`, `$${` for `${` and `%%{` for `%{`. Throws an Error that says what is wrong. */
export function expandTemplate(text: string, variables: TemplateVariables): string {
  return text.replace(/\$\$\{|%%\{|%\{|\$\{([^}]*)\}?/g, (found: string, expression: string | undefined) => {
    if (found === '$${' || found === '%%{') return found.slice(1);
    const name = /^[~\s]*([A-Za-z_][\w-]*)[~\s]*$/.exec(expression ?? '')?.[1];
    if (name === undefined || expression?.includes('~') === true || !found.endsWith('}')) {
      throw new Error(`only \${VARIABLE} is understood here, not ${found.trim()}`);
    }
    const value = variables.value(name);
    if (value === undefined) throw new Error(`variable ${name} is null`);
    return value;
  });
}

/** Whether a text is nothing but a variable that is null. */
export function isNullTemplate(text: string, variables: TemplateVariables): boolean {
  const name = /^\$\{\s*([A-Za-z_][\w-]*)\s*\}$/.exec(text)?.[1];
  return name !== undefined && variables.value(name) === undefined;
}
