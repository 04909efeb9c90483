--- The insert mode keys. A person's own mapping of a key stays; a key that finds no ghost text does what it did.
local M = {}

local actions = {
  accept = 'Take the ghost text',
  accept_word = 'Take the next word of the ghost text',
  accept_line = 'Take the next line of the ghost text',
  next = 'Show the next suggestion',
  previous = 'Show the previous suggestion',
  dismiss = 'Take the ghost text away',
  trigger = 'Ask for suggestions',
}

---@type table<string, string> Our mappings: the key by its action.
M.mapped = {}
---@type table<string, string> What a person has mapped themselves: the key by the action it would have had.
M.taken = {}

---@type table<string, table> Neovim's own mappings of keys that we have, by key: <Tab> goes through a snippet.
local defaults = {}

--- Neovim names what its own mappings call; where they are defined is not kept in every build.
---@param mapping table As |maparg()| gives it.
local function is_default(mapping)
  return mapping.callback ~= nil and vim.startswith(mapping.desc or '', 'vim.')
end

---@param action string
---@param lhs string
---@param chosen boolean
local function map(action, lhs, chosen)
  local before = vim.fn.maparg(lhs, 'i', false, true)
  if next(before) ~= nil then
    if is_default(before) then
      defaults[lhs] = before
    elseif not chosen then
      M.taken[action] = lhs
      return
    end
  end
  vim.keymap.set('i', lhs, function()
    if require('qwen')[action]() then
      return ''
    end
    return defaults[lhs] and defaults[lhs].callback() or lhs
  end, { expr = true, silent = true, desc = 'qwen: ' .. actions[action] })
  M.mapped[action] = lhs
end

--- Maps the keys of the configuration instead of those mapped before.
function M.map()
  for _, lhs in pairs(M.mapped) do
    vim.keymap.del('i', lhs)
    local default = defaults[lhs]
    if default then
      vim.keymap.set('i', lhs, default.callback, { expr = default.expr == 1, silent = true, desc = default.desc })
    end
  end
  M.mapped, M.taken = {}, {}
  local qwen = require('qwen')
  for action, lhs in vim.spairs(qwen.config.keys) do
    if lhs then
      map(action, lhs, qwen.chosen[action] ~= nil)
    end
  end
end

return M
