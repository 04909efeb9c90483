--- Ghost text drawn by this plugin: for Neovim 0.11, which has no inline completion of its own, and for those who
--- choose it. Each key is told to the server at once, which knows when to ask the model.
local suggestion = require('qwen.suggestion')
local M = {}

local namespace = vim.api.nvim_create_namespace('qwen')

---@class qwen.Shown
---@field client vim.lsp.Client
---@field buf integer
---@field suggestions qwen.Suggestion[]
---@field index integer The one that is shown.

---@type qwen.Shown?
local shown
---@type fun()? Takes the request under way back.
local take_back

local function hide()
  if shown and vim.api.nvim_buf_is_valid(shown.buf) then
    vim.api.nvim_buf_clear_namespace(shown.buf, namespace, 0, -1)
  end
end

local function forget()
  hide()
  shown = nil
end

--- The parts of a text's first line that stand between the characters it has in common with `covered`: by the number of
--- those before each. Nil when it does not have them all.
---@param first string
---@param covered string
---@return table<integer, string>?
local function between(first, covered)
  local parts, stop = {}, #first
  for index = #covered, 1, -1 do
    local character = covered:sub(index, index)
    if not character:find('%s') then
      local at = stop
      while at > 0 and first:sub(at, at) ~= character do
        at = at - 1
      end
      if at == 0 then
        return nil
      end
      parts[index], stop = first:sub(at + 1, stop), at - 1
    end
  end
  parts[0] = first:sub(1, stop)
  return parts
end

--- Draws what is left of the shown suggestion, or forgets all when nothing of them fits.
---@param hint? string
local function draw(hint)
  hide()
  local here = shown and suggestion.here(shown.buf)
  local rest = shown and suggestion.fit(shown.suggestions[shown.index], here)
  if not rest then
    shown = nil
    return
  end
  local covered = shown.suggestions[shown.index].covered
  local lines = vim.split(rest, '\n', { plain = true })
  local parts = between(lines[1], covered) or { [0] = lines[1] }
  local below = {}
  for index = 2, #lines do
    table.insert(below, { { lines[index], 'QwenGhost' } })
  end
  if hint and #below > 0 then
    table.insert(below[#below], { hint, 'QwenGhostHint' })
  end
  for index = 0, #covered do
    local chunks = { { parts[index] or '', 'QwenGhost' } }
    if hint and #below == 0 and index == #covered then
      table.insert(chunks, { hint, 'QwenGhostHint' })
    end
    vim.api.nvim_buf_set_extmark(shown.buf, namespace, here.row, here.col + index, {
      virt_text = chunks,
      virt_text_pos = 'inline',
      virt_lines = index == 0 and below or nil,
      hl_mode = 'combine',
    })
  end
end

---@param client vim.lsp.Client
---@param buf integer
---@param kind lsp.InlineCompletionTriggerKind
local function ask(client, buf, kind)
  local asked = suggestion.here(buf)
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  params.context = { triggerKind = kind }
  local sent, id = client:request(suggestion.method, params, function(_, result)
    local typing = vim.api.nvim_get_mode().mode:find('^i') and vim.api.nvim_get_current_buf() == buf
    if not result or not typing then
      return
    end
    forget()
    local suggestions = suggestion.read(result, asked, client.offset_encoding)
    if #suggestions > 0 then
      shown = { client = client, buf = buf, suggestions = suggestions, index = 1 }
      draw()
    end
  end, buf)
  take_back = sent and function()
    client:cancel_request(id)
  end or nil
end

---@param client vim.lsp.Client
---@param buf integer
function M.attach(client, buf)
  vim.api.nvim_set_hl(0, 'QwenGhost', { default = true, link = 'NonText' })
  vim.api.nvim_set_hl(0, 'QwenGhostHint', { default = true, link = 'MoreMsg' })
  local group = vim.api.nvim_create_augroup('qwen.ghost.' .. buf, {})
  vim.api.nvim_create_autocmd({ 'InsertEnter', 'CursorMovedI', 'TextChangedP' }, {
    group = group,
    buffer = buf,
    callback = function()
      draw()
      ask(client, buf, 2)
    end,
  })
  vim.api.nvim_create_autocmd({ 'InsertLeave', 'BufLeave' }, {
    group = group,
    buffer = buf,
    callback = function()
      forget()
      if take_back then
        take_back()
        take_back = nil
      end
    end,
  })
  vim.api.nvim_create_autocmd('LspDetach', {
    group = group,
    buffer = buf,
    callback = function(event)
      if event.data.client_id == client.id then
        forget()
        vim.api.nvim_del_augroup_by_id(group)
      end
    end,
  })
end

---@param unit 'all'|'word'|'line'
---@return boolean
function M.accept(unit)
  if M.count() == 0 then
    return false
  end
  -- A mapping with `expr` may not change the buffer.
  vim.schedule(function()
    local was = shown
    forget()
    local left = was and suggestion.take(was.suggestions[was.index], unit, was.client, was.buf)
    if left then
      shown = { client = was.client, buf = was.buf, suggestions = { left }, index = 1 }
      draw()
    end
  end)
  return true
end

---@return integer
function M.count()
  return shown and shown.buf == vim.api.nvim_get_current_buf() and #shown.suggestions or 0
end

---@param count integer
function M.select(count)
  shown.index = (shown.index - 1 + count) % #shown.suggestions + 1
  draw((' (%d/%d)'):format(shown.index, #shown.suggestions))
end

---@return boolean
function M.dismiss()
  local was = M.count() > 0
  forget()
  return was
end

---@return boolean
function M.trigger()
  local buf = vim.api.nvim_get_current_buf()
  local client = vim.lsp.get_clients({ name = 'qwen', bufnr = buf })[1]
  if client then
    ask(client, buf, 1)
  end
  return client ~= nil
end

return M
