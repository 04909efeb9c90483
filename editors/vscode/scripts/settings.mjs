// Writes the settings into package.json as `qwen-lsp schema` has them; tests/test_vscode_settings.py compares.

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'

// What is executed, written to, sent somewhere or paid is chosen by the person or by a folder they trust.
const ON_THIS_MACHINE = new Set(['path', 'apiKeyCommand', 'logFile'])
const RESTRICTED = [
  'path', 'apiKeyCommand', 'logFile', 'provider', 'baseUrl', 'model', 'localOnly', 'region', 'workspaceId', 'fallback',
  'exclude', 'budget.tokens', 'budget.price', 'prices',
]

const path = {
  type: 'string',
  default: '',
  markdownDescription:
    'The server, e.g. `~/.local/bin/qwen-lsp`. Empty: the one in the workspace\'s `.venv` or `venv`, else on the `PATH`.',
}

function* flattened(schema, definitions, prefix = '') {
  for (const [name, { description, $ref, allOf, ...rest }] of Object.entries(schema.properties)) {
    const target = ($ref ?? allOf?.[0].$ref)?.split('/').at(-1)
    if (target) yield* flattened(definitions[target], definitions, `${prefix}${name}.`)
    else yield [prefix + name, { ...inlined(rest, definitions), markdownDescription: description }]
  }
}

// An object with names that people choose: its values' schema stands where it refers to.
function inlined(entry, definitions) {
  const target = entry.additionalProperties?.$ref?.split('/').at(-1)
  return target ? { ...entry, additionalProperties: definitions[target] } : entry
}

const schema = JSON.parse(execFileSync(process.env.QWEN_LSP ?? 'qwen-lsp', ['schema'], { encoding: 'utf8' }))
const properties = {}
for (const [name, entry] of [['path', path], ...flattened(schema, schema.$defs)]) {
  properties[`qwen.${name}`] = ON_THIS_MACHINE.has(name) ? { ...entry, scope: 'machine-overridable' } : entry
}
const manifest = JSON.parse(readFileSync('package.json', 'utf8'))
manifest.contributes.configuration.properties = properties
manifest.capabilities.untrustedWorkspaces.restrictedConfigurations = RESTRICTED.map((name) => `qwen.${name}`)
writeFileSync('package.json', JSON.stringify(manifest, undefined, 2) + '\n')
